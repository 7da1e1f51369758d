"""What statements answer: one row of arrays. A few wide values are cheaper than many rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg.sql import SQL, Composable, Composed

from history_app.sql.names import microseconds
from history_app.store.arrays import EMPTY, Array, as_array

EMPTY_COUNTS: Array = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows that were found, as columns of equal length, oldest first.

    `starts`: µs of each reading (raw) or of each bucket that holds one; `counts`: readings in it; `values`: one column
    per metric and aggregate, metric by metric, NaN for null. `newest`: µs of the newest stored reading, None without.
    """

    starts: Array
    counts: Array
    values: Sequence[Array]
    newest: int | None


def bucket_columns(row: Sequence[Any], edges: Sequence[int]) -> Columns:
    """From a row `(newest, numbers, counts, values, …)`, whose numbers count the buckets between `edges`."""
    newest, numbers, counts, *values = row
    if numbers is None:
        return Columns(EMPTY, EMPTY_COUNTS, [EMPTY] * len(values), microseconds(newest))
    starts = as_array(edges)[:-1]
    if len(numbers) != len(starts):
        starts = starts[numbers]
    return Columns(starts, counts, values, microseconds(newest))


def in_arrays(columns: Sequence[Composable]) -> Composed:
    """An array of each column."""
    return SQL(", ").join(SQL("array_agg({})").format(column) for column in columns)


def never_null_values(names: Sequence[Composable], aggs: Sequence[str]) -> list[Composable]:
    """The columns of each metric's aggregates with NaN for null. A count is never null."""
    return [name if aggs[index % len(aggs)] == "count" else never_null(name) for index, name in enumerate(names)]


def never_null(number: Composable) -> Composable:
    """A double precision expression, NaN for null."""
    return SQL("coalesce({}, 'NaN')").format(number)
