"""A Chromium for the browser tests: the machine's own, or Debian's unpacked into a folder."""

import argparse
import shlex
import subprocess
from pathlib import Path

from lib.console import ScriptError, entry, locked, run, step
from lib.machine import debian
from lib.paths import LOCAL

ABOUT = """\
Print the path of a Chromium for Playwright's executable_path: the machine's own where it has one that works, else
Debian's, fetched without root into .local/chromium with the libraries and the font that the machine lacks."""
MACHINE_OWN = Path("/usr/bin/chromium")
FOLDER = LOCAL / "chromium"
PACKAGES = ["chromium", "fonts-dejavu-core"]
# Unpacked libraries work only with the C library that they were built for: keep the machine's.
C_LIBRARY = ("libc6_", "libc-bin_", "libc6-")
WRAPPER = """\
#!/bin/sh
# Debian's Chromium, run from where scripts/browser unpacked it.
export LD_LIBRARY_PATH={libraries} FONTCONFIG_FILE={fonts}
exec {program} "$@"
"""
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{folder}/font-cache</cachedir>
</fontconfig>
"""


def main() -> int:
    """Print the path of a working Chromium."""
    argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(MACHINE_OWN if works(MACHINE_OWN) else own())
    return 0


def works(program: Path) -> bool:
    """Return whether this Chromium finds all its libraries."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def own() -> Path:
    """Return the wrapper of Debian's Chromium in .local; unpack it if it is missing or no longer works."""
    wrapper = FOLDER / "chromium"
    with locked(LOCAL / "chromium.lock"):
        if not works(wrapper):
            build(wrapper)
    return wrapper


def build(wrapper: Path) -> None:
    """Fetch and unpack Chromium, and write the wrapper last."""
    run(["rm", "-rf", FOLDER], failing="The earlier .local/chromium cannot be removed: remove it and run again.")
    otherwise = "install the package chromium, or run the tests without a browser."
    try:
        debian.install(PACKAGES, FOLDER, release=debian.own_release(), but=C_LIBRARY)
    except ScriptError as error:
        raise ScriptError(f"No Chromium can be had here, {error}: {otherwise}", error.details) from error
    (FOLDER / "fonts.conf").write_text(FONTS.format(folder=FOLDER))
    wrapper.write_text(
        WRAPPER.format(
            libraries=shlex.quote(":".join(map(str, library_folders()))),
            fonts=shlex.quote(str(FOLDER / "fonts.conf")),
            program=shlex.quote(str(FOLDER / "usr/lib/chromium/chromium")),
        )
    )
    wrapper.chmod(0o755)
    with step("starting Chromium for the first time"):
        if not works(wrapper):
            raise ScriptError(f"Debian's Chromium does not start from .local/chromium: {otherwise}")


def library_folders() -> list[Path]:
    """Return the folders with unpacked libraries; some packages use a subfolder."""
    return sorted({file.parent for file in FOLDER.glob("**/*-linux-gnu*/**/lib*.so*")})


def script() -> int:
    """The entry point of scripts/browser."""
    return entry(main)
