"""The documents: links refer to existing files and headings, and the FAQ's requests return its responses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices_app.models import Device
from testing.cast import Person
from testing.docs import Shell, block, clean_env
from testing.process import ROOT, Process

_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(
    page.relative_to(ROOT)
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "clients").glob("*/README.md")]
)


def links(page: Path) -> list[tuple[Path, str]]:
    """Return every link within the repository: the file, and the anchor with its `#` or an empty string."""
    found = _LINK.findall(_FENCED.sub("", (ROOT / page).read_text()))
    return [((ROOT / page.parent / target) if target else ROOT / page, anchor) for target, anchor in found]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as hosted Markdown creates them."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_refers_to_an_existing_file_and_heading(page: Path) -> None:
    assert [target for target, _ in links(page) if not target.exists()] == []
    assert [(target, anchor) for target, anchor in links(page) if anchor and anchor not in anchors(target)] == []


@pytest.fixture
def shell(server: Process, alice: Person) -> Iterator[Shell]:
    """A terminal with the `api` function of docs/api.md, and ems_001 of the examples, owned by alice."""
    device = Device.objects.create(device_id="ems_001", owner=alice.user)
    with Shell(clean_env(URL=server.url, TOKEN=alice.token)) as shell:
        shell.run(block("api.md", "sh", "api()"))
        yield shell
    device.delete()


def test_the_day_the_clocks_go_back_has_25_hours(shell: Shell) -> None:
    answer = json.loads(shell.run(block("faq.md", "sh", "25 buckets")))
    assert answer["points"] == len(answer["time"]) == 25


def test_minimum_and_maximum_are_returned_beside_the_average(shell: Shell) -> None:
    answer = json.loads(shell.run(block("faq.md", "sh", "agg=avg,min,max")))
    assert {"avg", "min", "max"} < set(answer["metrics"]["load_power"])
    assert answer["resolution"] == "1d"
