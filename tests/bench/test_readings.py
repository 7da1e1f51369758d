"""Counts of a locust dashboard, lost readings of devices, and readings that the writer accepted."""

from __future__ import annotations

import secrets

import pytest

from bench.loads.devices import Fleet, missing
from bench.loads.locust_live import Readings
from testing.process import Process
from testing.stack import Stack

AT = "2026-11-23T10:00:0{}.000Z"


@pytest.mark.parametrize(
    ("seconds", "holes", "doubled"),
    [([1, 2, 3], 0, 0), ([1, 2, 5], 2, 0), ([1, 2, 2, 3], 0, 1), ([1, 3, 2], 1, 1), ([2, 3], 1, 0)],
)
def test_holes_and_duplicates_are_counted_from_the_cursor_on(seconds: list[int], holes: int, doubled: int) -> None:
    readings = Readings()
    readings.begin("ems", AT.format(0))
    for second in seconds:
        readings.add("ems", AT.format(second))
    assert (readings.holes, readings.doubled) == (holes, doubled)
    assert readings.cursors["ems"] == AT.format(max(seconds))


def test_a_device_without_history_owes_nothing_before_its_first_reading() -> None:
    readings = Readings()
    readings.begin("ems", None)
    readings.add("ems", AT.format(5))
    assert (readings.holes, readings.doubled, len(readings.given["ems"])) == (0, 0, 1)


def test_accepted_but_unstored_readings_are_missing_and_others_are_extra() -> None:
    assert missing({"a": [1, 2, 3], "b": [1]}, {"a": [1, 3, 4]}) == (2, 1)
    assert missing({"a": [1, 2]}, {"a": [1, 2]}) == (0, 0)


async def test_rejected_reports_do_not_count_as_accepted(stack: Stack, writer: Process) -> None:
    prefix = f"fleet_{secrets.token_hex(4)}"
    good, bad = [[f"{prefix}{mark}{number}" for number in range(300)] for mark in ("_", " not an id ")]
    mixed = [device for pair in zip(good, bad, strict=True) for device in pair]
    fleet = Fleet(writer.port, stack.env["INGEST_SECRET"], mixed)
    result = await fleet.report(1.0)
    assert {device for device, times in fleet.accepted.items() if times} == set(good)
    assert result.failed["401"] >= len(bad)
