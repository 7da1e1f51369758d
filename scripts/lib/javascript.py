"""Types and unit tests of the JavaScript code: the dashboard, clients/javascript and the tests themselves."""

import argparse
import subprocess

from lib.console import ScriptError, entry, locked
from lib.machine import node
from lib.paths import DASHBOARD, LOCAL, ROOT, shown

ABOUT = """\
  types    check the JSDoc types of all JavaScript with the TypeScript compiler
  test     run the unit tests of modules that need no browser; arguments go to node, such as a file of tests
  node     print the path of Node.js

Uses the Node.js of this machine, or one from PyPI in .local/node if there is none or an older one."""
TESTS = ROOT / "tests/javascript"
COMPILER = node.MODULES / "typescript/bin/tsc"
PROJECTS = (DASHBOARD, TESTS)


def main() -> int:
    """Parse the arguments and run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("types", "test", "node"))
    options, further = parser.parse_known_args()
    with locked(LOCAL / "install.lock"):
        program = node.find_node()
    if options.command == "node":
        print(program)
        return 0
    if options.command == "types":
        return max(run(program, *compiler(), "--project", project) for project in PROJECTS)
    return run(program, "--test", "--test-reporter=spec", *(further or sorted(map(str, TESTS.glob("*.test.js")))))


def compiler() -> list[object]:
    """The TypeScript compiler. Raises ScriptError if it is not installed."""
    if not COMPILER.exists():
        raise ScriptError(f"{shown(COMPILER)} is missing; run ./scripts/install --dev first.")
    return [COMPILER]


def run(*command: object) -> int:
    """Run a command, with its output on the terminal; returns its exit code."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode


def script() -> int:
    """Serve as the entry point of scripts/javascript."""
    return entry(main)
