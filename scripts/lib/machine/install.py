"""Installation of dependencies: Python packages into .venv, the dashboard's npm packages into node_modules."""

import argparse

from lib.console import entry, locked, say
from lib.machine import node, venv
from lib.paths import LOCAL, LOCKS, VENV

ABOUT = """\
Install what the project needs, into this folder only: Python packages into .venv (exactly those of
requirements/*.lock, hashes checked) and the dashboard's npm packages into dashboard/node_modules.
Does nothing where everything is up to date."""


def main() -> int:
    """Parse the arguments and install what is missing."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="also what the tests and checks need")
    options = parser.parse_args()
    with locked(LOCAL / "install.lock"):
        changed = [install_python(dev=options.dev), node.install(dev=options.dev)]
    if not any(changed):
        say("everything is installed")
    return 0


def install_python(*, dev: bool) -> bool:
    """Fill .venv from the lock files. Return whether anything changed."""
    needed = [LOCKS / "server.lock"]
    title = "installing Python packages"
    if not dev:
        return venv.install(VENV, needed, title=title)
    # dev.lock contains all of server.lock in the same versions.
    also = [venv.digest(needed)]
    return venv.install(VENV, [LOCKS / "dev.lock"], title=title, also=also, then=node.mend_playwright)


def script() -> int:
    """The entry point of scripts/install."""
    return entry(main)
