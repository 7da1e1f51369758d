"""Rows: each stands for one or more consecutive readings of a metric. Pure; times in µs since 1970.

A row is a row of an energy tier (its columns: `telemetry.energy_tiers`), one raw reading, or several raw readings that
were reduced here the way that the rollup reduces them. `Rows` are columns of equal length, metric by metric and in time
order within a metric; the column `metric` is the place of the metric in `METRICS` (history_app.energy.statements).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from history_app.store.arrays import Array, times_since_1970
from telemetry.cadence import REACH_FACTOR, REACH_MAX_S, REACH_MIN_S
from telemetry.energy_tiers import PACKED
from telemetry.times import SECOND_US

REACH_MIN_US = REACH_MIN_S * SECOND_US
REACH_MAX_US = REACH_MAX_S * SECOND_US
NEVER = np.iinfo(np.int64).min  # in place of a time that there is not

TIMES = ("first_1", "first_2", "first_3", "last_1", "last_2", "last_3", "highest_time")
VALUES = ("value_1", "value_2", "last_value", "positive", "negative", "held", "highest")
COLUMNS = ("metric", "count", *TIMES, *VALUES)
Rows = Mapping[str, Array]
_PACKED = np.dtype([(name, ">f8" if kind == "double precision" else ">i8") for name, kind in PACKED])


def rows_of_readings(metric: Array, times: Array, values: Array) -> Rows:
    """A row for each raw reading."""
    nothing, never = np.zeros(len(times)), np.full(len(times), NEVER)
    return {
        "metric": metric,
        "count": np.ones(len(times), dtype=np.int64),
        **{name: times if name in ("first_1", "last_1", "highest_time") else never for name in TIMES},
        **{name: values if name in ("value_1", "last_value", "highest") else nothing for name in VALUES},
    }


NO_ROWS = rows_of_readings(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


def rows_unpack(metric: Array, packed: bytes) -> Rows:
    """The rows of tiers in a value of `telemetry.energy_tiers.packed` after the other."""
    table = np.frombuffer(packed, dtype=_PACKED)
    rows = {name: table[name].astype(table[name].dtype.newbyteorder("=")) for name, _ in PACKED}
    return {"metric": metric, **rows, **{name: times_since_1970(rows[name]) for name in TIMES}}


def rows_join(parts: Sequence[Rows]) -> Rows:
    """All rows, by metric and time."""
    parts = [part for part in parts if len(part["metric"])] or [NO_ROWS]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    order = np.lexsort((joined["first_1"], joined["metric"]))
    return {name: column[order] for name, column in joined.items()}


def rows_where(rows: Rows, chosen: Array) -> Rows:
    """The rows for which `chosen` is true."""
    return {name: column[chosen] for name, column in rows.items()}


def rows_reduce(metric: Array, times: Array, values: Array, edges: Array, is_counter: Array) -> Rows:
    """One row per metric and period between `edges` that holds some of the readings, and per metric one for those
    before and one for those after.

    Readings in order of metric, then time, at least one. `is_counter`: by metric.
    """
    group = metric * (len(edges) + 1) + np.searchsorted(edges, times, side="right")
    first = np.concatenate([[0], np.flatnonzero(np.diff(group)) + 1])
    count = np.diff(np.append(first, len(times)))
    last = first + count - 1
    held, positive, negative = _held_inside(times, values, first, last, is_counter[metric])
    order = np.lexsort((-values, np.repeat(np.arange(len(first)), count)))  # stable: the earliest of equals comes first
    highest = order[first]
    return {
        "metric": metric[first],
        "count": count,
        "first_1": times[first],
        "last_1": times[last],
        **{f"first_{place}": _nth(times, first + place - 1, count >= place) for place in (2, 3)},
        **{f"last_{place}": _nth(times, last - place + 1, count >= place) for place in (2, 3)},
        "value_1": values[first],
        "value_2": values[np.minimum(first + 1, last)],
        "last_value": values[last],
        "positive": np.add.reduceat(positive, first),
        "negative": np.add.reduceat(negative, first),
        "held": np.add.reduceat(held, first),
        "highest": values[highest],
        "highest_time": times[highest],
    }


def reach_us(at: Array, before: Array, before_that: Array) -> Array:
    """The reach of readings at `at`, from the times of the two readings before each (NEVER: there is none).

    Contract section 3: 2.5 × the shorter of the two intervals, at least 60 s and at most 7,200 s. An interval longer
    than that counts as unknown; without any known interval the reach is 60 s.
    """
    intervals = [
        np.where((earlier == NEVER) | (interval > REACH_MAX_US), np.inf, interval)
        for earlier, interval in ((before, at - before), (before_that, before - before_that))
    ]
    shorter = np.minimum(*intervals)
    reach: Array = np.where(
        np.isinf(shorter), REACH_MIN_US, np.clip(REACH_FACTOR * shorter, REACH_MIN_US, REACH_MAX_US)
    )
    return reach


def increase(values: Array, before: Array) -> Array:
    """The increase of a counter. A value below the previous one is a reset and counts from zero."""
    grown: Array = np.where(values >= before, values - before, np.maximum(values, 0.0))
    return grown


def _nth(times: Array, places: Array, is_there: Array) -> Array:
    return np.where(is_there, times[np.clip(places, 0, len(times) - 1)], NEVER)


def _held_inside(
    times: Array, values: Array, first: Array, last: Array, is_counter: Array
) -> tuple[Array, Array, Array]:
    """Of each reading, from the readings of its row alone: seconds held, and unit × seconds of each direction.

    A counter: `positive` is the increase until the next reading. `first`, `last`: places of each row's readings.
    """
    seconds = np.zeros(len(times))
    seconds[:-1] = np.diff(times) / SECOND_US
    seconds[last] = 0.0
    held = seconds.copy()
    if len(times) > 2:
        held[2:] = np.minimum(seconds[2:], reach_us(times[2:], times[1:-1], times[:-2]) / SECOND_US)
    held[first] = 0.0
    held[np.minimum(first + 1, last)] = 0.0
    positive, negative = np.maximum(values, 0.0) * held, np.maximum(-values, 0.0) * held
    if not is_counter.any():
        return held, positive, negative
    grown = np.append(increase(values[1:], values[:-1]), 0.0)
    grown[last] = 0.0
    return (
        np.where(is_counter, seconds, held),
        np.where(is_counter, grown, positive),
        np.where(is_counter, 0.0, negative),
    )
