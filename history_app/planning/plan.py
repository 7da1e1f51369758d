"""Which tables answer a window, and which of their rows. Pure; times in µs.

A tier serves a window directly where each of the window's edges lies on an edge of its buckets: the coarsest such tier
is the base. Where the window's buckets are longer than those of a coarser tier (a month of days that do not begin at
midnight UTC), the coarser tier serves the inside of each of them, and finer ones the two ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from zoneinfo import ZoneInfo

from history_app.planning.window import EARLIEST_US, LATEST_US, STEPS, Step, Window, edges
from telemetry.catalogue import Metric
from telemetry.tiers import NEWEST, Tier
from telemetry.times import SECOND_US

UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class KnownTier:
    """A tier that the database has. It is right for everything at or after `complete_since`."""

    tier: Tier
    complete_since: int
    columns: frozenset[str]

    @property
    def length(self) -> int:
        return self.tier.seconds * SECOND_US


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is of one device: the raw table's name, the tiers, finest first, and `oldest`, when the oldest row of
    each of these tables begins (None where there is none)."""

    raw: str
    tiers: tuple[KnownTier, ...] = ()
    oldest: Mapping[str, int | None] = field(default_factory=dict)

    def has_aged_out(self, table: str, low: int) -> bool:
        """Whether `table` has lost what it had at `low`: a coarser tier has a whole bucket before its oldest row."""
        oldest = self.oldest.get(table)
        if oldest is None:
            oldest = LATEST_US
        names = [self.raw, *(known.tier.table for known in self.tiers)]
        coarser = self.tiers[names.index(table) :]
        return low < oldest and any(
            (start := self.oldest.get(known.tier.table)) is not None and start + known.length <= oldest
            for known in coarser
        )

    def usable(self, low: int, metrics: Sequence[Metric]) -> tuple[Tier, ...]:
        """The tiers that have these metrics and everything from `low` on, finest first."""
        return tuple(
            known.tier
            for known in self.tiers
            if known.complete_since <= low
            and not self.has_aged_out(known.tier.table, low)
            and all(f"{metric.name}_count" in known.columns for metric in metrics)
        )

    def newest_in(self, levels: Sequence[Level]) -> str | None:
        """The finest of the levels, if the newest reading is in it even where it lies before the window."""
        finest = next(known for known in self.tiers if known.tier.table == levels[-1].table)
        return finest.tier.table if NEWEST in finest.columns and finest.complete_since < EARLIEST_US else None


@dataclass(frozen=True, slots=True)
class Level:
    """Rows of one tier: buckets that begin in the window but not in `skip`, and, unless `parts` is None, in one of the
    buckets of the coarser level that begin at `parts`, `part_length` long."""

    table: str
    length: int
    skip: tuple[int, ...] = ()
    parts: tuple[int, ...] | None = None
    part_length: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read: the rows of `levels`, coarsest first, or of the raw table where there are none. `newest_in`: the
    tier that knows the newest reading, None where only the raw table does."""

    window: Window
    levels: tuple[Level, ...] = ()
    newest_in: str | None = None


def plan(sources: Sequence[Sources], window: Window, metrics: Sequence[Metric]) -> Plan:
    """One plan for all devices, whose `sources` these are.

    For the window asked for, unless what it takes has aged out. Then for one with the buckets of the finest tier that
    is left, in UTC where that tier's do not fit the zone.
    """
    usable = [known.usable(window.low, metrics) for known in sources]
    tiers = tuple(tier for tier in usable[0] if all(tier in others for others in usable))
    if levels := levels_of(window, tiers):
        return Plan(window, levels, sources[0].newest_in(levels))
    if not any(known.has_aged_out(known.raw, window.low) for known in sources):
        return Plan(window)
    for tier in tiers:
        step = window.step if window.step.seconds >= tier.seconds else STEPS[tier.name]
        for zone in (window.zone, UTC):
            left = Window(window.start, window.end, step, zone)
            if levels := levels_of(left, tiers):
                return Plan(left, levels, sources[0].newest_in(levels))
    return Plan(window)


def levels_of(window: Window, tiers: tuple[Tier, ...]) -> tuple[Level, ...]:
    """What to read of `tiers` (finest first) for the window, coarsest level first; nothing where none fits."""
    if window.step.is_raw or not tiers or window.step.seconds < tiers[0].seconds:
        return ()
    return _levels(window.low, window.high, window.step, window.zone, tiers)


@lru_cache(maxsize=256)
def _levels(low: int, high: int, step: Step, zone: ZoneInfo, tiers: tuple[Tier, ...]) -> tuple[Level, ...]:
    bucket_edges = edges(low, high, step, zone)
    # gcd of a range: of its start and its step.
    common = math.gcd(*(bucket_edges if not isinstance(bucket_edges, range) else (low, bucket_edges.step)))
    base = max((tier for tier in tiers if common % _length(tier) == 0), key=_length, default=None)
    if base is None:
        return ()
    wider = [tier for tier in reversed(tiers) if base.seconds < tier.seconds < step.seconds]
    levels: list[Level] = []
    parts: tuple[int, ...] | None = None
    part_length = 0
    for tier in (*wider, base):
        length = _length(tier)
        broken = tuple(dict.fromkeys(edge - edge % length for edge in bucket_edges if edge % length))
        levels.append(Level(tier.table, length, broken, parts, part_length))
        parts, part_length = broken, length
    return tuple(levels)


def _length(tier: Tier) -> int:
    return tier.seconds * SECOND_US
