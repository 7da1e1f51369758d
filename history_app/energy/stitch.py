"""Stitches the rows of one metric in time order and sums up periods. Pure; times in µs since 1970.

It makes no difference to the sums which rows stand for which readings: a row tells the holds that its own readings
determine; the holds of its first two readings and of its last one follow here from the rows beside it. Holds that
cross an edge are cut there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from history_app.energy.rows import NEVER, Rows, increase, reach_us
from history_app.store.arrays import Array
from telemetry.times import SECOND_US

LATER = 2**62  # a time after any reading


@dataclass(frozen=True, slots=True)
class PeriodSums:
    """By period, as arrays: unit × seconds of each direction (a counter: its increase in `positive`), seconds held, the
    highest value that was measured in the period (NaN: none) and the first time of it."""

    positive: Array
    negative: Array
    held_s: Array
    highest: Array
    highest_time: Array


def stitch_power(rows: Rows, edges: Array, now: int) -> PeriodSums:
    """Sum up a power metric.

    `rows`: in time order, from the third reading before `edges[0]` on, or from the first reading.
    """
    count, first, second, third = (rows[name] for name in ("count", "first_1", "first_2", "first_3"))
    last, last_2, last_3 = rows["last_1"], rows["last_2"], rows["last_3"]
    before = _behind(last)
    before_that = np.where(_behind(count, 0) >= 2, _behind(last_2), _behind(last, NEVER, by=2))
    following = np.append(first[1:], LATER)
    two, three = count >= 2, count >= 3
    held = [
        _held(first, np.where(two, second, following), before, before_that, rows["value_1"], now),
        _held(second[two], np.where(three, third, following)[two], first[two], before[two], rows["value_2"][two], now),
        _held(last[three], following[three], last_2[three], last_3[three], rows["last_value"][three], now),
    ]
    starts, lengths, values = (np.concatenate(parts) for parts in zip(*held, strict=True))
    sums = _Summed(edges)
    sums.add_spans(starts, lengths, values)
    sums.add_rows(rows)
    return sums.with_highest(rows)


def stitch_counter(rows: Rows, edges: Array, now: int) -> PeriodSums:
    """Sum up an energy counter: `positive` is its increase.

    `rows`: in time order, from the reading before `edges[0]` to the one after `edges[-1]` where there are any.
    """
    start, end = rows["last_1"][:-1], rows["first_1"][1:]
    grown = increase(rows["value_1"][1:], rows["last_value"][:-1])
    lengths = (end - start).astype(np.float64)
    sums = _Summed(edges)
    sums.add_spans(start, np.minimum(lengths, now - start), grown / lengths * SECOND_US)
    sums.add_rows(rows)
    sums.negative[:] = 0.0
    return sums.with_highest(rows)


def _behind(column: Array, fill: int = NEVER, *, by: int = 1) -> Array:
    """The column of the row `by` rows earlier; `fill` where there is none."""
    return np.concatenate([np.full(min(by, len(column)), fill, dtype=column.dtype), column[:-by]])


def _held(
    at: Array, following: Array, before: Array, before_that: Array, values: Array, now: int
) -> tuple[Array, Array, Array]:
    """When readings were taken, for how many µs each holds, and the values."""
    until = np.minimum(following, now) - at
    return at, np.minimum(until.astype(np.float64), reach_us(at, before, before_that)), values


class _Summed:
    """Sums by period between `edges`."""

    def __init__(self, edges: Array) -> None:
        self._edges = edges
        self.positive, self.negative, self.held_s = (np.zeros(len(edges) - 1) for _ in range(3))

    def add_spans(self, starts: Array, lengths: Array, values: Array) -> None:
        """Add spans of `lengths` µs at `values` per second, cut at the edges. Spans do not overlap."""
        edges = self._edges
        ends = starts + np.ceil(lengths).astype(np.int64)
        inside = (lengths > 0) & (ends > edges[0]) & (starts < edges[-1])
        starts, lengths, values, ends = (column[inside] for column in (starts, lengths, values, ends))
        low = np.maximum(np.searchsorted(edges, starts, side="right") - 1, 0)
        high = np.minimum(np.searchsorted(edges, ends, side="left"), len(edges) - 1)
        pieces = high - low  # of each span, one per period
        span = np.repeat(np.arange(len(starts)), pieces)
        period = np.arange(len(span)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + low[span]
        # Offsets from the start of the span: µs since 1970 would lose digits as floats.
        begin = np.maximum(edges[period] - starts[span], 0)
        finish = np.minimum((edges[period + 1] - starts[span]).astype(np.float64), lengths[span])
        self._add(period, np.maximum(finish - begin, 0.0) / SECOND_US, values[span])

    def _add(self, period: Array, seconds: Array, values: Array) -> None:
        size = len(self.held_s)
        self.positive += np.bincount(period, np.maximum(values, 0.0) * seconds, size)
        self.negative += np.bincount(period, np.maximum(-values, 0.0) * seconds, size)
        self.held_s += np.bincount(period, seconds, size)

    def add_rows(self, rows: Rows) -> None:
        """Add what rows say of the readings inside them. A row of a tier lies within one period."""
        period, inside = self._periods(rows["first_1"])
        size = len(self.held_s)
        self.positive += np.bincount(period, rows["positive"][inside], size)
        self.negative += np.bincount(period, rows["negative"][inside], size)
        self.held_s += np.bincount(period, rows["held"][inside], size)

    def with_highest(self, rows: Rows) -> PeriodSums:
        size = len(self.held_s)
        highest, times = np.full(size, np.nan), np.full(size, NEVER)
        period, inside = self._periods(rows["first_1"])
        value, at = rows["highest"][inside], rows["highest_time"][inside]
        order = np.lexsort((at, -value, period))
        found, first = np.unique(period[order], return_index=True)
        highest[found], times[found] = value[order][first], at[order][first]
        return PeriodSums(self.positive, self.negative, self.held_s, highest, times)

    def _periods(self, times: Array) -> tuple[Array, Array]:
        """The period of each row that lies in the window, and which rows do."""
        inside = (times >= self._edges[0]) & (times < self._edges[-1])
        return np.searchsorted(self._edges, times[inside], side="right") - 1, inside
