"""Whether the checkout can be released: the versions, the changelog and the tag have to agree."""

import argparse
import datetime
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from lib.paths import ROOT

ABOUT = """\
Say whether the checkout can be released. All versions must be equal, CHANGELOG.md must begin with a dated section of
that version, and the tag, if one is named, must be v and the version. Otherwise prints one line per problem and exits
with 1."""
VERSIONED = ("pyproject.toml", "clients/python/pyproject.toml", "clients/javascript/package.json")
HEADING = re.compile(r"^## \[?(?P<version>[^\s\]]+)\]?(?: [-–] (?P<date>\S+))?", re.MULTILINE)


def main() -> int:
    """Print the problems, or the version that can be released."""
    parser = argparse.ArgumentParser(
        prog="scripts/release", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tag", nargs="?", help="the tag that names the release, such as v1.2.0")
    options = parser.parse_args()
    found = list(problems(ROOT, options.tag))
    for problem in found:
        print(f"release: {problem}")
    if not found:
        print(f"{version_of(ROOT / 'pyproject.toml')} can be released")
    return 1 if found else 0


def problems(root: Path, tag: str | None) -> Iterator[str]:
    """What prevents the release of the checkout below `root`, one sentence each."""
    version = version_of(root / VERSIONED[0])
    try:
        Version(version)
    except InvalidVersion:
        yield f"{VERSIONED[0]} has the version {version}, which is not of the form 1.2.0 or 1.2.0rc1"
    for name in VERSIONED[1:]:
        if (other := version_of(root / name)) != version:
            yield f"{name} has the version {other}, {VERSIONED[0]} has {version}"
    heading = HEADING.search((root / "CHANGELOG.md").read_text())
    newest = heading["version"] if heading else "none"
    if heading is None or newest != version:
        yield f"the newest section of CHANGELOG.md is {newest}, expected {version} and its date"
    elif not _is_date(heading["date"]):
        yield f"the section {version} of CHANGELOG.md has no date: write `## [{version}] - YYYY-MM-DD`"
    if tag is not None and tag != f"v{version}":
        yield f"the tag is {tag}, expected v{version}"


def version_of(path: Path) -> str:
    """The version that a pyproject.toml or package.json states."""
    text = path.read_text()
    stated = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)["project"]
    return str(stated["version"])


def _is_date(text: str | None) -> bool:
    try:
        datetime.date.fromisoformat(text or "")
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
