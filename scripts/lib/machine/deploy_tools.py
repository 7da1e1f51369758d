"""Helper programs from Debian, unpacked into .local. They need neither a container engine nor root.

nginx and docker compose are for the tests of compose.yaml, Mosquitto is a peer in ./scripts/bench live.

cd scripts && python3 -m lib.machine.deploy_tools mosquitto|nginx|docker-compose     prints the path of the program
"""

import argparse
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.console import ScriptError, entry, locked, step
from lib.machine import debian
from lib.machine.prefix import RELEASE
from lib.paths import LOCAL

FOLDER = LOCAL / "deploy-tools"
# Unpack the libraries that the machine lacks, but never another C library.
C_LIBRARY = ("libc6_", "libc-bin_", "libc6-")
WRAPPER = """\
#!/bin/sh
LD_LIBRARY_PATH={libraries} exec {program} "$@"
"""


@dataclass(frozen=True)
class Tool:
    """A program of a Debian package. `release`: the Debian release, None for the machine's.

    `exit_code`: its exit code when asked for its version.
    """

    program: str
    version_option: str
    release: str | None = None
    exit_code: int = 0


TOOLS = {
    "mosquitto": Tool("usr/sbin/mosquitto", "-h", exit_code=3),
    "nginx": Tool("usr/sbin/nginx", "-v"),
    # The version in Debian 12 is too old; this one runs there too.
    "docker-compose": Tool("usr/libexec/docker/cli-plugins/docker-compose", "version", RELEASE),
}


def main() -> int:
    """Print the path of the program; fetch it if it is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=TOOLS)
    print(tool_path(parser.parse_args().name))
    return 0


def tool_path(name: str) -> Path:
    """Return the program's wrapper; build it if it is missing or no longer works."""
    wrapper = FOLDER / f"{name}.sh"
    with locked(FOLDER / f"{name}.lock"):
        if not works(wrapper, TOOLS[name]):
            build(name, wrapper)
    return wrapper


def build(name: str, wrapper: Path) -> None:
    """Fetch and unpack the package, and write the wrapper last."""
    tool, folder = TOOLS[name], FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    otherwise = f"the tests of the deployment files and ./scripts/bench live need Debian's package {name}."
    try:
        debian.install([name], folder, release=tool.release or debian.own_release(), but=C_LIBRARY)
    except ScriptError as error:
        raise ScriptError(f"{name} cannot be had here, {error}: {otherwise}", error.details) from error
    libraries = sorted({file.parent for file in folder.glob("**/*-linux-gnu*/lib*.so*")})
    program = folder / tool.program
    wrapper.write_text(
        WRAPPER.format(libraries=shlex.quote(":".join(map(str, libraries))), program=shlex.quote(str(program)))
    )
    wrapper.chmod(0o755)
    with step(f"starting {name} for the first time"):
        if not works(wrapper, tool):
            raise ScriptError(f"Debian's {name} does not start here: {otherwise}")


def works(wrapper: Path, tool: Tool) -> bool:
    """Return whether the program starts."""
    try:
        done = subprocess.run([wrapper, tool.version_option], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == tool.exit_code


if __name__ == "__main__":
    raise SystemExit(entry(main))
