"""What a locust dashboard counts, and what devices of a measurement lost."""

from __future__ import annotations

import pytest

from bench.devices import missing
from bench.locust_live import Readings

AT = "2026-11-23T10:00:0{}.000Z"


@pytest.mark.parametrize(
    ("seconds", "holes", "doubled"),
    [([1, 2, 3], 0, 0), ([1, 2, 5], 2, 0), ([1, 2, 2, 3], 0, 1), ([1, 3, 2], 1, 1), ([2, 3], 1, 0)],
)
def test_holes_and_what_comes_twice_are_counted_from_the_cursor_on(
    seconds: list[int], holes: int, doubled: int
) -> None:
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


def test_readings_taken_and_not_stored_are_missing_and_others_are_extra() -> None:
    assert missing({"a": [1, 2, 3], "b": [1]}, {"a": [1, 3, 4]}) == (2, 1)
    assert missing({"a": [1, 2]}, {"a": [1, 2]}) == (0, 0)
