"""Times in microseconds."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.times import iso_from_us, us_from_iso, us_from_text


@given(st.integers(0, 4_102_444_800_000_000))
def test_a_time_survives_a_round_trip_through_text(us: int) -> None:
    assert us_from_iso(iso_from_us(us)) == us


def test_whole_milliseconds_have_three_digits() -> None:
    assert iso_from_us(1_795_428_000_000_000) == "2026-11-23T10:00:00.000Z"
    assert iso_from_us(1_795_428_000_000_001) == "2026-11-23T10:00:00.000001Z"


@pytest.mark.parametrize("text", ["", "2026-11-23T10:00:00", "now", "0001-01-01T00:00:00+23:00x"])
def test_a_time_without_an_offset_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        us_from_iso(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795132800000", 1_795_132_800_000_000),
        ("-1", -1_000),
        (" 2026-11-20T00:00:00Z ", 1_795_132_800_000_000),
        ("2026-11-20", 1_795_132_800_000_000),
        ("2026-11-20 01:00:00", 1_795_136_400_000_000),
        ("2026-11-20T01:00:00 01:00", 1_795_132_800_000_000),
        ("2026-11-20T01:00:00.25+0100", 1_795_132_800_250_000),
    ],
)
def test_text_is_iso_8601_or_epoch_milliseconds(text: str, expected: int) -> None:
    assert us_from_text(text) == expected


def test_a_time_without_an_offset_is_in_the_zone() -> None:
    assert us_from_text("2026-06-20T02:00", ZoneInfo("Europe/Berlin")) == us_from_text("2026-06-20T00:00Z")
    with pytest.raises(ValueError, match="offset"):
        us_from_text("2026-06-20T02:00", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "9" * 18,
        "--1",
        "²",
        "2026-13-01",
        "2026-11-20T" + " " * 50_000,
        "T" + " 00:00" * 20_000,
    ],
)
def test_other_text_is_rejected_quickly(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r".*"):
        us_from_text(text)
    assert time.process_time() - began < 0.1
