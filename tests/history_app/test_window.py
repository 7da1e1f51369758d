"""The pure window: ranges, steps, alignment, calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from core.errors import BadRequest
from devices_app.access import OWNER, Access
from history_app.planning import window
from history_app.planning.plan import plan
from history_app.planning.sources import Sources
from history_app.planning.window import LADDER, STEPS, Step, Window
from history_app.question import question_parse, range_start
from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime

UTC_ZONE = ZoneInfo("UTC")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",  # +5:30
    "Asia/Kathmandu",  # +5:45
    "Australia/Lord_Howe",  # the clock changes by half an hour
    "America/Havana",  # the clock changes at midnight
    "Pacific/Apia",  # skipped a whole day in 2011
    "Africa/Casablanca",
]
NOW = us_from_datetime(datetime(2026, 11, 23, 10, 0, 7, 250_000, tzinfo=UTC))
DAY_US = 86_400 * SECOND_US


def of_owner(zone: str = "UTC") -> dict[str, Access]:
    """Return the access of an owner to one device in this time zone."""
    return {"ems_001": Access(OWNER, None, zone)}


def us(text: str, zone: str = "UTC") -> int:
    return us_from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("asked", "step", "buckets"),
    [
        ("10m", "raw", None),
        ("1h", "5s", 720),
        ("6h", "30s", 720),
        ("24h", "5m", 288),
        ("7d", "15m", 672),
        ("30d", "1h", 720),
        ("90d", "3h", 720),
        ("1y", "1d", 365),
    ],
)
def test_auto_selects_the_step_of_the_contract(asked: str, step: str, buckets: int | None) -> None:
    found = automatic(asked)
    assert found.step.name == step
    if buckets is not None:
        assert buckets <= len(found.edges) - 1 <= buckets + 1


def automatic(
    asked: str, *, max_points: int = 720, period_s: float | None = None, is_raw_too_long: bool = False
) -> Window:
    """Return the window that `auto` selects for a range and a device that reports every `period_s`."""
    return plan(
        [Sources(period_s=period_s)], CATALOGUE.metrics, range_start(asked, NOW, UTC_ZONE), NOW, UTC_ZONE,
        resolution="auto", max_points=max_points, limit=10_000, sample_period_s=1, is_raw_too_long=is_raw_too_long,
    ).window  # fmt: skip


def test_auto_falls_back_to_the_coarsest_step() -> None:
    assert automatic("20y", max_points=1).step.name == "1mo"


def test_too_many_readings_select_the_next_fitting_step() -> None:
    assert automatic("10m", is_raw_too_long=True).step.name == "1s"
    assert automatic("10m", max_points=100, is_raw_too_long=True).step.name == "10s"


@pytest.mark.parametrize(
    ("asked", "period_s", "step"),
    [
        ("10m", 60, "raw"),
        ("1h", None, "5s"),
        ("1h", 1, "5s"),
        ("1h", 60, "1m"),
        ("1h", 60.9, "1m"),
        ("1h", 70, "5m"),
        ("24h", 60, "5m"),
        ("24h", 900, "15m"),
        ("30d", 900, "1h"),
        ("24h", 10_800, "3h"),
        ("1h", 10_000_000, "1mo"),
    ],
)
def test_auto_never_goes_below_the_period_of_the_device(asked: str, period_s: float | None, step: str) -> None:
    assert automatic(asked, period_s=period_s).step.name == step


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "0h", "1.5h", "24H", "1h ", "9999999h", "٣h"])
def test_a_malformed_range_is_named(text: str) -> None:
    with pytest.raises(BadRequest, match="range"):
        range_start(text, NOW, UTC_ZONE)


@pytest.mark.parametrize("text", ["2000y", "999999w", "99999mo"])
def test_a_range_beyond_1970_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="1970"):
        range_start(text, NOW, UTC_ZONE)


def test_months_end_with_the_calendar_month() -> None:
    assert range_start("1mo", us("2026-03-31T12:00"), UTC_ZONE) == us("2026-02-28T12:00")
    assert range_start("1y", us("2024-02-29T12:00"), UTC_ZONE) == us("2023-02-28T12:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00"),
        ("2026-11-23T10:00:00+01:00", "2026-11-23T09:00:00"),
        ("2026-11-23T10:00:00 01:00", "2026-11-23T09:00:00"),  # an unescaped "+"
        ("2026-11-23T10:00", "2026-11-23T09:00:00"),  # interpreted in the zone
        ("2026-11-23", "2026-11-22T23:00:00"),
        ("1795428000000", "2026-11-23T10:00:00"),
    ],
)
def test_times_are_iso_or_milliseconds(text: str, expected: str) -> None:
    assert question_parse({"start": text, "end": "2199-01-01"}, of_owner("Europe/Berlin")).start == us(expected)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "99999999999999999", "-1", "0001-01-01T00:00:00Z"])
def test_a_malformed_time_is_named(text: str) -> None:
    with pytest.raises(BadRequest, match="start"):
        question_parse({"start": text, "end": "2199-01-01"}, of_owner())


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe"])
def test_a_malformed_zone_is_named(name: str) -> None:
    with pytest.raises(BadRequest, match="tz"):
        question_parse({"tz": name} if name else {}, of_owner(name))


def lengths_h(day: str, step: str, zone: str) -> list[float]:
    """Return the lengths in hours of the buckets of a local day."""
    start = us(day, zone)
    end = us_from_datetime((datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone)))
    found = Window(start, end, STEPS[step], ZoneInfo(zone)).edges
    assert (found[0], found[-1]) == (start, end)
    return [(after - before) / SECOND_US / 3600 for before, after in pairwise(found)]


def test_the_day_the_clock_goes_back_has_25_hours() -> None:
    assert lengths_h("2026-10-25", "1h", "Europe/Berlin") == [1.0] * 25
    assert lengths_h("2026-10-25", "3h", "Europe/Berlin") == [4.0, *[3.0] * 7]
    assert lengths_h("2026-10-25", "1d", "Europe/Berlin") == [25.0]


def test_the_day_the_clock_goes_forward_has_23_hours() -> None:
    assert lengths_h("2026-03-29", "1h", "Europe/Berlin") == [1.0] * 23
    assert lengths_h("2026-03-29", "6h", "Europe/Berlin") == [5.0, 6.0, 6.0, 6.0]
    assert lengths_h("2026-03-29", "1d", "Europe/Berlin") == [23.0]


def test_a_change_of_half_an_hour() -> None:
    assert sum(lengths_h("2026-04-05", "1h", "Australia/Lord_Howe")) == 24.5
    assert sum(lengths_h("2026-10-04", "1h", "Australia/Lord_Howe")) == 23.5


def test_a_day_that_begins_after_midnight_because_the_clock_jumped() -> None:
    found = Window(us("2026-03-08T12:00", "America/Havana"), us("2026-03-08T13:00", "America/Havana"),
                   STEPS["1d"], ZoneInfo("America/Havana")).edges  # fmt: skip
    assert datetime_from_us(found[0]).astimezone(ZoneInfo("America/Havana")).hour == 1


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    moment = us("2026-11-25T15:00", "Europe/Berlin")
    assert window.floor(moment, STEPS["1w"], berlin) == us("2026-11-23", "Europe/Berlin")
    assert window.floor(moment, STEPS["1mo"], berlin) == us("2026-11-01", "Europe/Berlin")
    assert window.ceil(moment, STEPS["1mo"], berlin) == us("2026-12-01", "Europe/Berlin")


def oracle_floor(moment: int, step: Step, zone: ZoneInfo) -> datetime:
    """Truncate the wall clock to the step, as a user would by hand."""
    wall = datetime_from_us(moment).astimezone(zone)
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if step.name == "1mo":
        return midnight.replace(day=1)
    if step.name == "1w":
        return midnight - timedelta(days=wall.weekday())
    if step.name == "1d":
        return midnight
    hours = int(step.seconds) // 3600
    return midnight.replace(hour=wall.hour - wall.hour % hours)


moments = st.integers(us("1990-01-01"), us("2060-01-01"))
calendar_steps = st.sampled_from([step for step in LADDER if step.is_calendar])
zones = st.sampled_from([ZoneInfo(name) for name in ZONES])


@given(moments, calendar_steps, zones)
def test_a_moment_lies_in_the_bucket_of_its_wall_clock(moment: int, step: Step, zone: ZoneInfo) -> None:
    low = window.floor(moment, step, zone)
    high = window.ceil(moment + 1, step, zone)
    assert low <= moment < high
    assert window.floor(low, step, zone) == low
    assert window.ceil(low, step, zone) == low
    # Every moment of the bucket has the same truncated wall clock, and its neighbours have another (or the same
    # hour occurs twice).
    cut = oracle_floor(moment, step, zone).replace(tzinfo=None)
    assert oracle_floor(low, step, zone).replace(tzinfo=None) == cut
    assert oracle_floor(high - 1, step, zone).replace(tzinfo=None) == cut
    if step.name != "1h":
        assert oracle_floor(high, step, zone).replace(tzinfo=None) > cut


@given(moments, st.integers(1, 40 * DAY_US), st.sampled_from(LADDER[6:]), zones)
def test_edges_are_in_order_and_cover_the_window(start: int, length: int, step: Step, zone: ZoneInfo) -> None:
    found = Window(start, start + length, step, zone).edges
    assert list(found) == sorted(set(found))
    assert found[0] <= start < found[1]
    assert found[-2] < start + length <= found[-1]
    for edge in found:
        assert window.floor(edge, step, zone) == edge
