"""The buckets of a response, and the tables whose rows they are made of. Pure; times in µs.

The base of a window is the coarsest tier on whose buckets every edge of the window lies. Where the window's buckets are
longer than those of a coarser tier (days that do not begin at midnight UTC), that tier answers the inside of each
bucket: its own buckets across an edge are `cut`, and the next finer tier answers them. Some tiers finer than the base,
and raw readings, answer only the buckets that the rollup has not rebuilt yet (`history_app.sql.levels`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from history_app.planning.sources import Sources
from history_app.planning.window import LADDER, LATEST_US, RAW, STEPS, Step, Window
from telemetry.catalogue import Metric
from telemetry.tiers import Tier
from telemetry.times import SECOND_US

UTC = ZoneInfo("UTC")
# A device that reports once per minute has a median interval of 60.2 s: it gets buckets of one minute.
PERIOD_TOLERANCE = 1.05
# Tiers that may replace wrong buckets of the base. Each one makes a statement slower to start; these read few rows.
_STAND_IN_SECONDS = (3_600, 900, 60)


class TooManyBuckets(ValueError):
    """The window has more buckets of the requested step than the limit allows."""

    def __init__(self, buckets: int, limit: int) -> None:
        super().__init__(f"{buckets} buckets, more than {limit}")


@dataclass(frozen=True, slots=True)
class Level:
    """A tier, and the starts of its buckets that an edge of the window cuts."""

    tier: Tier
    cut: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The window, and the tiers that answer it, coarsest first; raw readings answer all of it if there are none.

    `base`: the tier that answers most of the window.
    """

    window: Window
    levels: tuple[Level, ...] = ()
    base: Tier | None = None


def plan(
    sources: Sequence[Sources],
    metrics: Sequence[Metric],
    start: int,
    end: int,
    zone: ZoneInfo,
    *,
    resolution: str,
    max_points: int,
    limit: int,
    sample_period_s: float,
    is_raw_too_long: bool = False,
) -> Plan:
    """One plan for all devices, whose `sources` these are.

    `resolution`: `auto` or a step of the ladder. `is_raw_too_long`: there are more readings than `max_points`, so that
    `auto` takes buckets. If the raw readings that the window needs have aged out, the plan has the buckets of the
    finest tier that is left, in UTC if they do not fit the zone. Raises `TooManyBuckets` for more than `limit`.
    """
    step = STEPS.get(resolution)
    if step is None or is_raw_too_long:
        period_s = min((known.period_s or 0.0 for known in sources), default=0.0)
        step = _automatic(
            (end - start) / SECOND_US, max_points, sample_period_s, period_s, is_raw_too_long=is_raw_too_long
        )
    window = _window(start, end, step, zone, limit)
    usable = [_usable(known, window.low, metrics) for known in sources]
    tiers = tuple(tier for tier in usable[0] if all(tier in others for others in usable))
    if levels := levels_of(window, tiers):
        return _plan(window, levels)
    if all(window.low >= known.floor for known in sources):
        return Plan(window)
    for tier in tiers:
        coarser = step if step.seconds >= tier.seconds else STEPS[tier.name]
        for other in (zone, UTC):
            left = _window(start, end, coarser, other, limit)
            if levels := levels_of(left, tiers):
                return _plan(left, levels)
    return Plan(window)


def _usable(sources: Sources, low: int, metrics: Sequence[Metric]) -> tuple[Tier, ...]:
    """The tiers that have these metrics and have lost nothing from `low` on, finest first.

    A tier loses rows only where raw readings are gone, so nothing is lost from the floor on.
    """
    return tuple(
        known.tier
        for known in sources.tiers
        if (low >= sources.floor or not _has_aged_out(sources, known.tier, low))
        and all(f"{metric.name}_count" in known.columns for metric in metrics)
    )


def _has_aged_out(sources: Sources, tier: Tier, low: int) -> bool:
    """Whether a coarser tier has a whole bucket at or after `low` that lies before the oldest row of `tier`."""
    oldest = sources.oldest.get(tier.table)
    if oldest is None:
        oldest = LATEST_US
    if low >= oldest:
        return False
    coarser = [known.tier for known in sources.tiers if known.tier.seconds > tier.seconds]
    starts = [(sources.oldest.get(other.table), other.seconds * SECOND_US) for other in coarser]
    return any(start is not None and start + length <= oldest for start, length in starts)


def _plan(window: Window, levels: tuple[Level, ...]) -> Plan:
    return Plan(window, levels, next(level.tier for level in levels if not level.cut))


def _window(start: int, end: int, step: Step, zone: ZoneInfo, limit: int) -> Window:
    """The limit is checked first: computing millions of edges takes long."""
    seconds = (end - start) / SECOND_US
    if not step.is_raw and seconds > limit * step.seconds:
        raise TooManyBuckets(int(seconds / step.seconds), limit)
    return Window(start, end, step, zone)


def _automatic(
    seconds: float, max_points: int, sample_period_s: float, period_s: float, *, is_raw_too_long: bool
) -> Step:
    """The finest step that needs at most `max_points` buckets and is not shorter than the device's own period."""
    if seconds <= max_points * sample_period_s and not is_raw_too_long:
        return RAW
    return next(
        (
            step
            for step in LADDER[1:]
            if seconds <= max_points * step.seconds and step.seconds * PERIOD_TOLERANCE >= period_s
        ),
        LADDER[-1],
    )


def levels_of(window: Window, tiers: tuple[Tier, ...]) -> tuple[Level, ...]:
    """The levels for the window out of `tiers` (finest first), coarsest first; none if no tier fits its edges."""
    if window.step.is_raw or not tiers or window.step.seconds < tiers[0].seconds:
        return ()
    edges = window.edges
    # gcd of a range: of its start and its step.
    common = math.gcd(edges.start, edges.step) if isinstance(edges, range) else _common(edges)
    base = max(
        (tier for tier in tiers if common % (tier.seconds * SECOND_US) == 0),
        key=lambda tier: tier.seconds,
        default=None,
    )
    if base is None:
        return ()
    if base is tiers[-1] or window.step.seconds <= base.seconds:
        return tuple(Level(tier) for tier in reversed(tiers) if tier is base or _stands_in(tier, base))
    return _cut_levels(tuple(edges), tiers, base, window.step.seconds)


@lru_cache(maxsize=256)
def _common(edges: tuple[int, ...]) -> int:
    return math.gcd(*edges)


@lru_cache(maxsize=64)
def _cut_levels(edges: tuple[int, ...], tiers: tuple[Tier, ...], base: Tier, step_s: float) -> tuple[Level, ...]:
    return tuple(
        Level(tier, tuple(dict.fromkeys(edge - rest for edge in edges if (rest := edge % (tier.seconds * SECOND_US)))))
        for tier in reversed(tiers)
        if base.seconds <= tier.seconds < step_s or _stands_in(tier, base)
    )


def _stands_in(tier: Tier, base: Tier) -> bool:
    return tier.seconds < base.seconds and tier.seconds in _STAND_IN_SECONDS
