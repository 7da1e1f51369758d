"""The rows of the tiers that answer a window: each moment once, no row across an edge, and few rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from history_app.planning.plan import Plan, TooManyBuckets, levels_of, plan
from history_app.planning.sources import RAW_ONLY, KnownTier, Sources
from history_app.planning.window import LADDER, STEPS, Window
from telemetry.tiers import rollup_tiers
from telemetry.times import SECOND_US, us_from_datetime
from tests.history_app.test_window import ZONES

TIERS = rollup_tiers(CATALOGUE)
METRICS = CATALOGUE.metrics[:1]
COLUMNS = frozenset({f"{METRICS[0].name}_count"})
KNOWN = tuple(KnownTier(tier, COLUMNS) for tier in TIERS)
DAY_US = 86_400 * SECOND_US
Span = tuple[int, int]


def us(text: str) -> int:
    return us_from_datetime(datetime.fromisoformat(text))


def window(step: str, zone: str, days: float, end: str = "2026-11-23T10:20:07+00:00") -> Window:
    return Window(us(end) - int(days * DAY_US), us(end), STEPS[step], ZoneInfo(zone))


def planned(sources: list[Sources], asked: Window, *, limit: int = 100_000) -> Plan:
    """Return the plan for the step, zone and span of a window."""
    return plan(
        sources, METRICS, asked.start, asked.end, asked.zone, resolution=asked.step.name, max_points=720, limit=limit,
        sample_period_s=1,
    )  # fmt: skip


def rows_of(asked: Window) -> Iterator[Span]:
    """Return the spans of the rows that the levels read, if every row of every tier exists and is up to date."""
    left = [(asked.low, asked.high)]
    for level in levels_of(asked, TIERS):
        length, cut = level.tier.seconds * SECOND_US, set(level.cut)
        finer: list[Span] = []
        for low, high in left:
            for start in range(low - low % length, high, length):
                span = max(start, low), min(start + length, high)
                if start in cut:
                    finer.append(span)
                else:
                    assert span == (start, start + length)
                    yield span
        left = finer
    assert not left


@given(
    st.integers(us("2024-01-01T00:00:00+00:00"), us("2027-01-01T00:00:00+00:00")),
    st.sampled_from([step.name for step in LADDER if step.seconds >= 30]),
    st.integers(1, 12),
    st.sampled_from(ZONES),
)
def test_rows_cover_the_window_once_and_do_not_cross_buckets(start: int, step: str, buckets: int, zone: str) -> None:
    chosen = STEPS[step]
    asked = Window(start, start + int(buckets * chosen.seconds * SECOND_US), chosen, ZoneInfo(zone))
    spans = sorted(rows_of(asked))
    assert [span[0] for span in spans] == [asked.low, *(span[1] for span in spans[:-1])]
    assert spans[-1][1] == asked.high
    for low, high in spans:
        assert bisect_right(asked.edges, low) == bisect_right(asked.edges, high - 1)


@pytest.mark.parametrize(
    ("step", "days", "utc", "berlin", "kolkata"),
    [
        ("30s", 0.25, 1, 1, 1),
        ("1m", 0.5, 1, 1, 1),
        ("5m", 1, 1, 1, 1),
        ("15m", 7, 1, 1, 1),
        ("30m", 14, 2, 2, 2),
        ("1h", 30, 1, 1, 4),
        ("3h", 90, 3, 3, 6),
        # No tier lies between an hour and a day, and no daily row starts at a midnight other than that of UTC.
        ("6h", 180, 6, 6, 9),
        ("12h", 365, 12, 12, 15),
        ("1d", 365, 1, 24, 27),
        ("1w", 3650, 7, 30, 33),
        ("1mo", 7300, 30.5, 54, 57),
    ],
)
def test_rows_per_bucket(step: str, days: float, utc: float, berlin: float, kolkata: float) -> None:
    for zone, most in (("UTC", utc), ("Europe/Berlin", berlin), ("Asia/Kolkata", kolkata)):
        asked = window(step, zone, days)
        assert len(list(rows_of(asked))) / (len(asked.edges) - 1) <= most * 1.02


@pytest.mark.parametrize("step", ["1s", "5s", "10s"])
def test_raw_readings_answer_buckets_shorter_than_the_finest_tier(step: str) -> None:
    asked = window(step, "UTC", 0.1)
    assert planned([Sources(KNOWN)], asked) == Plan(asked)


def test_raw_readings_answer_without_tiers() -> None:
    asked = window("1h", "UTC", 30)
    assert planned([RAW_ONLY], asked) == Plan(asked)


def test_some_finer_tiers_are_levels_below_the_base() -> None:
    found = planned([Sources(KNOWN)], window("1h", "Asia/Kolkata", 3))
    assert found.base == TIERS[3]
    assert [level.tier.name for level in found.levels] == ["15m", "1m"]
    assert [level.tier.name for level in planned([Sources(KNOWN)], window("1d", "UTC", 300)).levels] == [
        "1d", "1h", "15m", "1m",
    ]  # fmt: skip


def test_a_tier_without_the_metric_is_not_used() -> None:
    asked = window("1h", "UTC", 30)
    lacking = Sources((*KNOWN[:4], KnownTier(TIERS[4], frozenset()), KNOWN[5]))
    assert planned([lacking], asked).base == TIERS[3]


def test_too_many_buckets_are_refused_before_their_edges_are_computed() -> None:
    with pytest.raises(TooManyBuckets, match="more than 100"):
        plan(
            [RAW_ONLY], METRICS, 0, us("2199-01-01T00:00:00+00:00"), ZoneInfo("Europe/Berlin"), resolution="1h",
            max_points=1, limit=100, sample_period_s=1,
        )  # fmt: skip


def aged(*, raw: float, **tiers: float) -> Sources:
    """The floor and the oldest rows, in days before the end of `window`; a device of a thousand days."""
    end = us("2026-11-23T00:00:00+00:00")
    oldest = {tier.table: end - int(tiers.get(f"t{tier.name}", 1000) * DAY_US) for tier in TIERS}
    return Sources(KNOWN, end - int(raw * DAY_US), oldest)


def test_the_finest_remaining_tier_replaces_aged_out_readings() -> None:
    past = "2026-08-23T10:20:07+00:00"
    for step in ("raw", "1s", "10s"):
        found = planned([aged(raw=30)], window(step, "UTC", 0.1, past))
        assert (found.window.step.name, found.base) == ("30s", TIERS[0])
    found = planned([aged(raw=30, t30s=60, t1m=60, t5m=60)], window("5m", "UTC", 1, past))
    assert (found.window.step.name, found.base) == ("15m", TIERS[3])
    few = aged(raw=30, t30s=60, t1m=60, t5m=60, t15m=60)
    found = planned([few], window("1h", "Asia/Kolkata", 1, past))
    assert (found.window.step.name, found.window.zone.key) == ("1h", "UTC")
    assert planned([few], window("1h", "Europe/Berlin", 1, past)).window.zone.key == "Europe/Berlin"


def test_a_window_above_the_floor_is_answered_as_requested() -> None:
    recent = window("10s", "UTC", 1)
    assert planned([aged(raw=30)], recent) == Plan(recent)
    assert planned([aged(raw=30, t1m=1)], window("5m", "UTC", 2)).levels[-1].tier == TIERS[1]


def test_several_devices_share_a_plan_that_fits_all() -> None:
    past = window("5m", "UTC", 1, "2026-08-23T10:20:07+00:00")
    whole, cut = aged(raw=1000), aged(raw=30, t30s=60, t1m=60, t5m=60)
    for sources in ([whole, cut], [cut, whole]):
        assert planned(sources, past).window.step.name == "15m"
    assert planned([whole], past).window.step.name == "5m"
