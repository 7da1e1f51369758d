"""Which rows of which tiers answer a window: every moment once, no row across an edge, and few of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from history_app.planning.plan import KnownTier, Level, Plan, Sources, levels_of, plan
from history_app.planning.window import LADDER, RAW, STEPS, Window
from telemetry.tiers import NEWEST, tiers_of
from telemetry.times import SECOND_US, us_from_datetime
from tests.history_app.test_window import ZONES

TIERS = tiers_of(CATALOGUE)
METRICS = CATALOGUE.metrics[:1]
COLUMNS = frozenset({NEWEST, f"{METRICS[0].name}_count"})
KNOWN = tuple(KnownTier(tier, -(2**62), COLUMNS) for tier in TIERS)
DAY_US = 86_400 * SECOND_US
HOUR_US = 3_600 * SECOND_US
Span = tuple[int, int]


def us(text: str) -> int:
    return us_from_datetime(datetime.fromisoformat(text))


def window(step: str, zone: str, days: float, end: str = "2026-11-23T10:20:07+00:00") -> Window:
    return Window(us(end) - int(days * DAY_US), us(end), STEPS[step], ZoneInfo(zone))


def rows_of(level: Level, low: int, high: int) -> Iterator[Span]:
    """The spans of the rows that a level reads, where there is a row for every bucket."""
    outer = [(low, high)] if level.parts is None else [(part, part + level.part_length) for part in level.parts]
    for begins, ends in outer:
        first = -(-max(begins, low) // level.length) * level.length
        for start in range(first, min(ends, high), level.length):
            if start not in level.skip:
                yield start, start + level.length


def rows_per_bucket(asked: Window) -> float:
    levels = levels_of(asked, TIERS)
    return sum(len(list(rows_of(level, asked.low, asked.high))) for level in levels) / (len(asked.edges) - 1)


@given(
    st.integers(us("2024-01-01T00:00:00+00:00"), us("2027-01-01T00:00:00+00:00")),
    st.sampled_from([step for step in LADDER if step.seconds >= 60]),
    st.integers(1, 12),
    st.sampled_from(ZONES),
)
def test_the_rows_cover_the_window_once_and_lie_in_one_bucket_each(
    start: int, step: object, buckets: int, zone: str
) -> None:
    chosen = STEPS[getattr(step, "name", "1m")]
    asked = Window(start, start + int(buckets * chosen.seconds * SECOND_US), chosen, ZoneInfo(zone))
    levels = levels_of(asked, TIERS)
    spans = sorted(span for level in levels for span in rows_of(level, asked.low, asked.high))
    assert [span[0] for span in spans] == [asked.low, *(span[1] for span in spans[:-1])]
    assert spans[-1][1] == asked.high
    edges = asked.edges
    for low, high in spans:
        assert bisect_right(edges, low) == bisect_right(edges, high - 1)


@pytest.mark.parametrize(
    ("step", "days", "utc", "berlin", "kolkata"),
    [
        ("1m", 0.5, 1, 1, 1),
        ("5m", 1, 5, 5, 5),
        ("15m", 7, 1, 1, 1),
        ("30m", 14, 2, 2, 2),
        ("1h", 30, 1, 1, 4),
        ("3h", 90, 3, 3, 6),
        # Beyond five: the tiers that the contract names have nothing between an hour and a day, and no day that begins
        # at a midnight other than UTC's. See docs/decisions/004-rollup-tiers.md.
        ("6h", 180, 6, 6, 9),
        ("12h", 365, 12, 12, 15),
        ("1d", 365, 1, 24, 27),
        ("1w", 3650, 7, 30, 33),
        ("1mo", 7300, 30.5, 54, 57),
    ],
)
def test_rows_per_bucket(step: str, days: float, utc: float, berlin: float, kolkata: float) -> None:
    for zone, most in (("UTC", utc), ("Europe/Berlin", berlin), ("Asia/Kolkata", kolkata)):
        assert rows_per_bucket(window(step, zone, days)) <= most * 1.02


def test_below_a_minute_the_raw_rows_answer() -> None:
    assert plan([Sources(CATALOGUE.table, KNOWN)], window("30s", "UTC", 0.2), METRICS).levels == ()


def test_without_tiers_the_raw_rows_answer() -> None:
    asked = window("1h", "UTC", 30)
    assert plan([Sources(CATALOGUE.table)], asked, METRICS) == Plan(asked)


def test_a_tier_is_used_only_where_it_is_complete() -> None:
    asked = window("1h", "UTC", 30)
    hour = TIERS[2]
    for since, levels in ((asked.low, 1), (asked.low + 1, 0)):
        chosen = plan([Sources(CATALOGUE.table, (KnownTier(hour, since, COLUMNS),))], asked, METRICS)
        assert len(chosen.levels) == levels
        # A device's newest reading may be older than what the tier has.
        assert chosen.newest_in is None


def test_a_tier_without_the_metric_is_not_used() -> None:
    asked = window("1h", "UTC", 30)
    assert plan([Sources(CATALOGUE.table, KNOWN)], asked, CATALOGUE.metrics[:2]).levels == ()


def test_one_tier_alone_serves_what_it_can() -> None:
    finest_only = Sources(CATALOGUE.table, KNOWN[:1])
    assert [level.table for level in plan([finest_only], window("1h", "Asia/Kolkata", 3), METRICS).levels] == [
        TIERS[0].table
    ]
    coarsest_only = Sources(CATALOGUE.table, KNOWN[3:])
    assert plan([coarsest_only], window("1h", "UTC", 3), METRICS).levels == ()


def aged(*, raw: float, **tiers: float) -> Sources:
    """Oldest rows, in days before the end of `window`; a device of a thousand days."""
    end = us("2026-11-23T00:00:00+00:00")
    days = {CATALOGUE.table: raw, **{tier.table: tiers.get(f"t{tier.name}", 1000) for tier in TIERS}}
    return Sources(CATALOGUE.table, KNOWN, {table: end - int(ago * DAY_US) for table, ago in days.items()})


def test_where_raw_rows_have_aged_out_the_finest_tier_that_is_left_answers() -> None:
    past = "2026-08-23T10:20:07+00:00"
    for step in (RAW.name, "1s", "30s"):
        chosen = plan([aged(raw=30)], window(step, "UTC", 0.1, past), METRICS)
        assert (chosen.window.step.name, chosen.levels[0].table) == ("1m", TIERS[0].table)
    chosen = plan([aged(raw=30, t1m=60)], window("5m", "UTC", 1, past), METRICS)
    assert (chosen.window.step.name, chosen.levels[0].table) == ("15m", TIERS[1].table)
    chosen = plan([aged(raw=30, t1m=60, t15m=60)], window("1h", "Asia/Kolkata", 1, past), METRICS)
    assert (chosen.window.step.name, chosen.window.zone.key) == ("1h", "UTC")
    assert (
        plan([aged(raw=30, t1m=60)], window("1h", "Europe/Berlin", 1, past), METRICS).window.zone.key == "Europe/Berlin"
    )


def test_what_has_not_aged_out_is_answered_as_asked() -> None:
    recent = window("30s", "UTC", 1)
    assert plan([aged(raw=30)], recent, METRICS) == Plan(recent)
    # Nothing has aged out of a device that begins where its raw rows do.
    before_it_began = window("30s", "UTC", 1, "2020-01-01T00:00:00+00:00")
    assert plan([aged(raw=1000)], before_it_began, METRICS) == Plan(before_it_began)


def test_several_devices_get_one_plan_that_all_of_them_can_answer() -> None:
    past = window("5m", "UTC", 1, "2026-08-23T10:20:07+00:00")
    young, old = aged(raw=1000), aged(raw=30, t1m=60)
    for sources in ([young, old], [old, young]):
        assert plan(sources, past, METRICS).window.step.name == "15m"
    assert plan([young], past, METRICS).window.step.name == "5m"
