"""The energy rule of the contract in plain Python: from the readings of one metric and a period to sums.

An independent definition, derived from the text of the rule only: no tiers, windows or vectors. Times are µs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Series = Sequence[tuple[int, float]]
SECOND_US = 1_000_000
REACH_FACTOR, REACH_MIN_S, REACH_MAX_S = 2.5, 60.0, 7_200.0


@dataclass(frozen=True)
class Sums:
    """Sums of a period. `positive`, `negative`: power × s per direction, or the increase of a counter.

    `held_s`: covered seconds; `highest`: the highest value measured in the period and its first time, or None.
    """

    positive: float
    negative: float
    held_s: float
    highest: tuple[float, int] | None


def series(rows: Sequence[tuple[int, float | None]], now: int) -> Series:
    """Return the non-null readings before `now` in time order.

    NaN, infinity and values that could overflow count as null.
    """
    return sorted((at, value) for at, value in rows if value is not None and abs(value) <= 1e290 and at < now)


def reach_s(times: Sequence[int], index: int) -> float:
    """Return the reach of the reading at `index`, from the intervals between the last three readings up to it."""
    intervals = [(times[k] - times[k - 1]) / SECOND_US for k in (index, index - 1) if k >= 1]
    known = [interval for interval in intervals if interval <= REACH_MAX_S]
    if not known:
        return REACH_MIN_S
    return min(max(REACH_FACTOR * min(known), REACH_MIN_S), REACH_MAX_S)


def power_sums(readings: Series, low: int, high: int, now: int) -> Sums:
    """Sum a power metric over [low, high).

    A reading holds until the next reading, the end of its reach, the end of the period or `now`, whichever comes first.
    """
    times = [at for at, _ in readings]
    positive, negative, held = [], [], []
    for index, (at, value) in enumerate(readings):
        following = times[index + 1] if index + 1 < len(times) else math.inf
        # Offsets from the reading are exact; microseconds since 1970 would not be.
        ends = min(following - at, reach_s(times, index) * SECOND_US, high - at, now - at)
        seconds = (ends - max(low - at, 0)) / SECOND_US
        if seconds > 0:
            held.append(seconds)
            positive.append(max(value, 0.0) * seconds)
            negative.append(max(-value, 0.0) * seconds)
    return Sums(math.fsum(positive), math.fsum(negative), math.fsum(held), _highest(readings, low, high))


def counter_sums(readings: Series, low: int, high: int, now: int) -> Sums:
    """Sum a counter over [low, high). The increase between two readings spreads evenly over the time between them."""
    increase, covered = [], []
    for (start, before), (end, value) in pairwise(readings):
        grown = value - before if value >= before else max(value, 0.0)
        overlap = min(end, high, now) - max(start, low)
        if overlap > 0:
            covered.append(overlap / SECOND_US)
            increase.append(grown * overlap / (end - start))
    return Sums(math.fsum(increase), 0.0, math.fsum(covered), _highest(readings, low, high))


def _highest(readings: Series, low: int, high: int) -> tuple[float, int] | None:
    inside = [(value, -at) for at, value in readings if low <= at < high]
    if not inside:
        return None
    value, at = max(inside)
    return value, -at
