"""A .env for compose: .env.example with a new secret for every empty secret."""

import argparse
import os
import re
import secrets
from pathlib import Path

from lib.console import ScriptError, entry, say
from lib.paths import ROOT, shown

ABOUT = """\
Print a complete .env for compose: .env.example with fresh random secrets filled in.

  ./scripts/env --output .env    write it, readable by you alone; a file that is there is never overwritten
  ./scripts/env > .env           the same by the shell, which does overwrite

Keep the file: the databases take their passwords from it when they are first made, and know them from then on."""
EXAMPLE = ROOT / ".env.example"
TO_FILL_IN = re.compile(r"^([A-Z][A-Z0-9_]*)=$", re.MULTILINE)
SECRET_BYTES = 48  # 64 characters: Django warns about a SECRET_KEY of fewer than 50


def main() -> int:
    """Print the file or write it."""
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead of printing it")
    output: Path | None = parser.parse_args().output
    text = filled_in(EXAMPLE.read_text())
    if output is None:
        print(text, end="")
        return 0
    write(output, text)
    say(f"{output} is written; next: docker compose up --build -d")
    return 0


def filled_in(example: str) -> str:
    """Give every empty variable its own secret. It has letters, digits, - and _ only, as some become part of a URL."""
    return TO_FILL_IN.sub(lambda line: f"{line[1]}={secrets.token_urlsafe(SECRET_BYTES)}", example)


def write(output: Path, text: str) -> None:
    """Write the file, readable by its owner only."""
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ScriptError(
            f"{shown(output)} is there already: the databases may know the passwords in it. Move it away first."
        ) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def script() -> int:
    """The entry point of scripts/env."""
    return entry(main)
