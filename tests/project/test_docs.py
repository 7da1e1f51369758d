"""The documentation: its links lead somewhere, and the FAQ's requests answer what it says."""

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

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
PAGES = sorted(page.relative_to(ROOT) for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = _LINK.findall((ROOT / page).read_text())
    missing = [target for target in targets if not (ROOT / page.parent / target).exists()]
    assert not missing


@pytest.fixture
def shell(server: Process, alice: Person) -> Iterator[Shell]:
    """A terminal with the `api` of docs/api.md, and the examples' ems_001, which is alice's."""
    device = Device.objects.create(device_id="ems_001", owner=alice.user)
    with Shell(clean_env(URL=server.url, TOKEN=alice.token)) as shell:
        shell.run(block("api.md", "sh", "api()"))
        yield shell
    device.delete()


def test_the_day_the_clocks_go_back_has_25_hours(shell: Shell) -> None:
    answer = json.loads(shell.run(block("faq.md", "sh", "25 buckets")))
    assert answer["points"] == len(answer["time"]) == 25


def test_extremes_stand_beside_the_average(shell: Shell) -> None:
    answer = json.loads(shell.run(block("faq.md", "sh", "agg=avg,min,max")))
    assert {"avg", "min", "max"} < set(answer["metrics"]["load_power"])
    assert answer["resolution"] == "1d"
