"""Which parts of a window each energy tier can answer, by length of buckets alone. Pure; times in µs since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from history_app.store.arrays import Array
from telemetry.energy_tiers import ENERGY_TIERS, QUARTER
from telemetry.times import SECOND_US

Span = tuple[int, int]
QUARTER_US = QUARTER.seconds * SECOND_US


@dataclass(frozen=True, slots=True)
class Cover:
    """Spans in order, apart from each other, half-open.

    `by_tier`: for each of ENERGY_TIERS, where whole buckets lie within single periods; a finer tier covers whatever a
    coarser one covers. `low` and `high`: the window, widened to quarters of an hour. What no tier covers there, where
    an edge cuts a quarter (a zone with an offset in seconds), is for raw readings.
    """

    by_tier: tuple[tuple[Span, ...], ...]
    low: int
    high: int


def cover(edges: Array) -> Cover:
    """The cover of the periods between `edges`."""
    low, high = int(edges[0]), int(edges[-1])
    return Cover(
        tuple(_whole_buckets(edges, tier.seconds * SECOND_US) for tier in ENERGY_TIERS),
        low - low % QUARTER_US,
        high + -high % QUARTER_US,
    )


def pieces(span: Span, length: int) -> list[Span]:
    """`span` cut into pieces of at most `length`, at multiples of it."""
    low, high = span
    edges = [low, *range(low - low % length + length, high, length), high]
    return list(pairwise(edges)) if low < high else []


def _whole_buckets(edges: Array, length: int) -> tuple[Span, ...]:
    """The whole buckets within each period, adjoining ones as one span."""
    lows = edges[:-1] + -edges[:-1] % length
    highs = edges[1:] - edges[1:] % length
    is_whole = lows < highs
    lows, highs = lows[is_whole], highs[is_whole]
    if not len(lows):
        return ()
    begins = np.append(True, lows[1:] != highs[:-1])
    return tuple(zip(lows[begins].tolist(), highs[np.append(begins[1:], True)].tolist(), strict=True))
