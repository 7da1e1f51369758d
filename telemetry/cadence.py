"""How often a device reports, and how long a reading holds. Pure; times in µs, oldest or newest first as stated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from telemetry.times import SECOND_US

REACH_FACTOR = 2.5
REACH_MIN_S = 60.0
# A longer interval is an outage rather than a period: it counts as unknown.
REACH_MAX_S = 7_200.0
READINGS_FOR_REACH = 3
# The period is the median of the intervals between this many of the newest readings.
READINGS_FOR_PERIOD = 11


def reach_s(newest_first: Sequence[int], *, minimum_s: float = REACH_MIN_S) -> float:
    """How long the newest reading holds if no other follows (contract section 3, Energy).

    It is 2.5 times the shorter of the two intervals between the three newest readings, at least `minimum_s` and at
    most 7,200 s. An interval longer than 7,200 s is unknown; `minimum_s` if neither is known.
    """
    known = [interval for interval in _intervals_s(newest_first[:READINGS_FOR_REACH]) if interval <= REACH_MAX_S]
    return min(max(REACH_FACTOR * min(known), minimum_s), max(REACH_MAX_S, minimum_s)) if known else minimum_s


def period_s(newest_first: Sequence[int]) -> float | None:
    """How often a device reports: the median interval of its newest readings. None for fewer than three readings."""
    intervals = _intervals_s(newest_first[:READINGS_FOR_PERIOD])
    return median(intervals) if len(intervals) > 1 else None


def reach_of_period_s(period: float | None) -> float:
    """How far apart two readings of a device may be to belong to one line of a chart."""
    return REACH_MIN_S if period is None else min(max(REACH_FACTOR * period, REACH_MIN_S), REACH_MAX_S)


def is_online(newest_first: Sequence[int], now: int, *, minimum_s: float) -> bool:
    """Whether the newest reading still holds at `now`. Readings ahead of `now` do not count.

    `minimum_s`: DEVICE_ONLINE_S, in place of the 60 s of the energy rule.
    """
    past = [us for us in newest_first if us <= now]
    return bool(past) and now - past[0] <= reach_s(past, minimum_s=minimum_s) * SECOND_US


def merged(newest_first: Sequence[int], more: Sequence[int]) -> list[int]:
    """The times of both, newest first, each once."""
    return sorted({*newest_first, *more}, reverse=True)


def _intervals_s(newest_first: Sequence[int]) -> list[float]:
    return [(later - earlier) / SECOND_US for later, earlier in pairwise(newest_first) if later > earlier]
