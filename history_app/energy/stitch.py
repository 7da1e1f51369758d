"""Stitches rows in time order and sums up periods, all metrics in one pass. Pure; times in µs since 1970.

It makes no difference to the sums which rows stand for which readings: a row tells the holds that its own readings
determine; the holds of its first two readings and of its last one follow here from the rows beside it. Holds that
cross an edge are cut there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from history_app.energy.rows import NEVER, Rows, increase, reach_us, rows_where
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


def stitch(rows: Rows, edges: Array, now: int, is_counter: Array) -> Sequence[PeriodSums]:
    """The sums of each metric. `is_counter`: by metric, in the order that the column `metric` of `rows` counts.

    `rows`: of a power metric from the third reading before `edges[0]` on, of a counter from the reading before
    `edges[0]` to the one after `edges[-1]`, or those that there are.
    """
    sums = _Summed(edges, len(is_counter))
    sums.add_rows(rows)
    if is_counter.any():
        counts = is_counter[rows["metric"]]
        _stitch_power(sums, rows_where(rows, ~counts), now)
        _stitch_counters(sums, rows_where(rows, counts), now)
    else:
        _stitch_power(sums, rows, now)
    return sums.by_metric(rows)


def _stitch_power(sums: _Summed, rows: Rows, now: int) -> None:
    """Add the holds that depend on several rows."""
    metric, count, first, second, third = (rows[name] for name in ("metric", "count", "first_1", "first_2", "first_3"))
    last, last_2, last_3 = rows["last_1"], rows["last_2"], rows["last_3"]
    goes_on = metric[1:] == metric[:-1]  # the row after is of the same metric
    before = _behind(last, goes_on)
    before_that = _behind(np.where(count >= 2, last_2, before), goes_on)
    following = np.append(np.where(goes_on, first[1:], LATER), LATER)[: len(first)]
    two, three = count >= 2, count >= 3
    held = [
        _held(metric, first, np.where(two, second, following), before, before_that, rows["value_1"], now),
        _held(
            metric[two], second[two], np.where(three, third, following)[two], first[two], before[two],
            rows["value_2"][two], now,
        ),
        _held(
            metric[three], last[three], following[three], last_2[three], last_3[three], rows["last_value"][three], now
        ),
    ]  # fmt: skip
    sums.add_spans(*(np.concatenate(parts) for parts in zip(*held, strict=True)))


def _stitch_counters(sums: _Summed, rows: Rows, now: int) -> None:
    """Add the increases between rows."""
    goes_on = rows["metric"][1:] == rows["metric"][:-1]
    start, end = rows["last_1"][:-1][goes_on], rows["first_1"][1:][goes_on]
    grown = increase(rows["value_1"][1:], rows["last_value"][:-1])[goes_on]
    lengths = (end - start).astype(np.float64)
    metric = rows["metric"][1:][goes_on]
    sums.add_spans(metric, start, np.minimum(lengths, now - start), grown / lengths * SECOND_US)


def _behind(column: Array, goes_on: Array) -> Array:
    """The column of the row before, if that is of the same metric; else NEVER."""
    found = np.full(len(column), NEVER)
    np.copyto(found[1:], column[:-1], where=goes_on)
    return found


def _held(
    metric: Array, at: Array, following: Array, before: Array, before_that: Array, values: Array, now: int
) -> tuple[Array, Array, Array, Array]:
    """Metric and time of readings, for how many µs each holds, and the values."""
    until = np.minimum(following, now) - at
    return metric, at, np.minimum(until.astype(np.float64), reach_us(at, before, before_that)), values


class _Summed:
    """Sums by metric and period between `edges`."""

    def __init__(self, edges: Array, metrics: int) -> None:
        self._edges = edges
        self._shape = metrics, len(edges) - 1
        self._size = metrics * (len(edges) - 1)
        self.positive, self.negative, self.held_s = (np.zeros(self._size) for _ in range(3))

    def add_spans(self, metric: Array, starts: Array, lengths: Array, values: Array) -> None:
        """Add spans of `lengths` µs at `values` per second, cut at the edges. Spans of a metric do not overlap."""
        edges = self._edges
        ends = starts + np.ceil(lengths).astype(np.int64)
        inside = (lengths > 0) & (ends > edges[0]) & (starts < edges[-1])
        metric, starts, lengths, values, ends = (column[inside] for column in (metric, starts, lengths, values, ends))
        low = np.maximum(np.searchsorted(edges, starts, side="right") - 1, 0)
        high = np.minimum(np.searchsorted(edges, ends, side="left"), len(edges) - 1)
        pieces = high - low  # of each span, one per period
        span = np.repeat(np.arange(len(starts)), pieces)
        period = np.arange(len(span)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + low[span]
        # Offsets from the start of the span: µs since 1970 would lose digits as floats.
        begin = np.maximum(edges[period] - starts[span], 0)
        finish = np.minimum((edges[period + 1] - starts[span]).astype(np.float64), lengths[span])
        seconds, values = np.maximum(finish - begin, 0.0) / SECOND_US, values[span]
        self._add(
            self._place(metric[span], period), np.maximum(values, 0.0) * seconds, np.maximum(-values, 0.0) * seconds,
            seconds,
        )  # fmt: skip

    def add_rows(self, rows: Rows) -> None:
        """Add what rows say of the readings inside them. A row of a tier lies within one period."""
        place, inside = self._places(rows)
        self._add(place, *(rows[name][inside] for name in ("positive", "negative", "held")))

    def _add(self, place: Array, positive: Array, negative: Array, seconds: Array) -> None:
        self.positive += np.bincount(place, positive, self._size)
        self.negative += np.bincount(place, negative, self._size)
        self.held_s += np.bincount(place, seconds, self._size)

    def by_metric(self, rows: Rows) -> Sequence[PeriodSums]:
        """The sums, with the highest values of `rows`."""
        highest, times = np.full(self._size, np.nan), np.full(self._size, NEVER)
        place, inside = self._places(rows)
        value, at = rows["highest"][inside], rows["highest_time"][inside]
        order = np.lexsort((at, -value, place))
        found, first = np.unique(place[order], return_index=True)
        highest[found], times[found] = value[order][first], at[order][first]
        columns = (self.positive, self.negative, self.held_s, highest, times)
        return [PeriodSums(*sums) for sums in zip(*(column.reshape(self._shape) for column in columns), strict=True)]

    def _places(self, rows: Rows) -> tuple[Array, Array]:
        """The place of each row that lies in the window, and which rows do."""
        times = rows["first_1"]
        inside = (times >= self._edges[0]) & (times < self._edges[-1])
        period = np.searchsorted(self._edges, times[inside], side="right") - 1
        return self._place(rows["metric"][inside], period), inside

    def _place(self, metric: Array, period: Array) -> Array:
        return metric * self._shape[1] + period
