"""Times as microseconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.times import iso_from_us, us_from_iso


@given(st.integers(0, 4_102_444_800_000_000))
def test_a_time_survives_its_text(us: int) -> None:
    assert us_from_iso(iso_from_us(us)) == us


def test_whole_milliseconds_have_three_digits() -> None:
    assert iso_from_us(1_795_428_000_000_000) == "2026-11-23T10:00:00.000Z"
    assert iso_from_us(1_795_428_000_000_001) == "2026-11-23T10:00:00.000001Z"


@pytest.mark.parametrize("text", ["", "2026-11-23T10:00:00", "now", "0001-01-01T00:00:00+23:00x"])
def test_a_time_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        us_from_iso(text)
