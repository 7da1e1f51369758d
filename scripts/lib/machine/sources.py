"""Which Debian mirrors this machine uses, read from apt's sources in both formats; plain functions over text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Names that a machine may use for its release instead of the code name.
ALIASES = {"stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"}
SUFFIXES = {"", "-updates", "-security"}


@dataclass(frozen=True)
class Source:
    """One suite of one mirror."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def parse_list(text: str) -> Iterator[Source]:
    """Read the one-line format: `deb [options] URI SUITE COMPONENT…` (sources.list(5))."""
    for line in text.splitlines():
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        if kind != "deb":
            continue
        options, _, fields = rest.partition("]") if rest.lstrip().startswith("[") else ("", "", rest)
        given = dict(option.partition("=")[::2] for option in options.strip(" [").split())
        uri, suite, *components = fields.split() or ["", ""]
        yield Source(uri, suite, tuple(components), given.get("signed-by", ""))


def parse_deb822(text: str) -> Iterator[Source]:
    """Read the `.sources` format: stanzas of `Field: value`, continued by indented lines (sources.list(5))."""
    for stanza in read_stanzas(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        components = tuple(stanza.get("components", "").split())
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Source(uri, suite, components, stanza.get("signed-by", ""))


def read_stanzas(text: str) -> Iterator[dict[str, str]]:
    """Split deb822 text into stanzas with lower-case field names; comments are left out."""
    stanza: dict[str, str] = {}
    field = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0].isspace() and field:
            stanza[field] += "\n" + line.strip()
        else:
            field, _, value = line.partition(":")
            field = field.strip().lower()
            stanza[field] = value.strip()


def read_sources(etc_apt: Path) -> list[Source]:
    """Every source that apt itself would read."""
    lists = [etc_apt / "sources.list", *sorted(etc_apt.glob("sources.list.d/*.list"))]
    found = [source for file in lists if file.is_file() for source in parse_list(file.read_text(errors="replace"))]
    for file in sorted(etc_apt.glob("sources.list.d/*.sources")):
        found += parse_deb822(file.read_text(errors="replace"))
    return found


def for_release(sources: Iterable[Source], *, own: str, wanted: str) -> list[tuple[str, str]]:
    """The mirror addresses and suites to ask for the release `wanted`, on a machine of the release `own`.

    Only Debian's own archives count: of the machine's release, with the component main, not signed by someone else.
    """
    found: dict[tuple[str, str], None] = {}
    for source in sources:
        base, dash, rest = source.suite.partition("-")
        theirs = source.signed_by and "debian-archive" not in source.signed_by
        if theirs or "main" not in source.components or source.uri.startswith("cdrom:"):
            continue
        if (base == own or base in ALIASES) and dash + rest in SUFFIXES:
            found[source.uri, wanted + dash + rest] = None
    return list(found)
