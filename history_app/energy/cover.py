"""Which parts of a window each energy tier can answer, by length of buckets alone. Pure; times in µs since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from history_app.store.arrays import Array, as_array, iso_times
from telemetry.energy_tiers import ENERGY_TIERS, QUARTER
from telemetry.times import SECOND_US

QUARTER_US = QUARTER.seconds * SECOND_US


@dataclass(frozen=True, slots=True)
class Cover:
    """Half-open spans as texts of type tstzmultirange.

    `by_tier`: for each of ENERGY_TIERS, where whole buckets lie within single periods; a finer tier covers whatever a
    coarser one covers. `low` and `high`: the window, widened to quarters of an hour. What no tier covers there, where
    an edge cuts a quarter (a zone with an offset in seconds), is for raw readings.
    """

    by_tier: tuple[str, ...]
    low: int
    high: int


@lru_cache(maxsize=64)
def cover(edges: Sequence[int]) -> Cover:
    """The cover of the periods between `edges`."""
    low, high = edges[0], edges[-1]
    return Cover(
        tuple(_whole_buckets(as_array(edges), tier.seconds * SECOND_US) for tier in ENERGY_TIERS),
        low - low % QUARTER_US,
        high + -high % QUARTER_US,
    )


def _whole_buckets(edges: Array, length: int) -> str:
    """The whole buckets within each period, adjoining ones as one span."""
    lows = edges[:-1] + -edges[:-1] % length
    highs = edges[1:] - edges[1:] % length
    is_whole = lows < highs
    lows, highs = lows[is_whole], highs[is_whole]
    if not len(lows):
        return "{}"
    begins = np.append(True, lows[1:] != highs[:-1])
    spans = zip(iso_times(lows[begins]), iso_times(highs[np.append(begins[1:], True)]), strict=True)
    return "{" + ",".join(f"[{low},{high})" for low, high in spans) + "}"
