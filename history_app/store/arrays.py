"""PostgreSQL arrays as numpy arrays: decoded, filled and encoded without one Python object per value.

Statements return no nulls: a missing number is NaN, which `orjson` writes as null.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from telemetry.times import us_from_datetime

Array = np.ndarray[Any, np.dtype[Any]]
EMPTY: Array = np.empty(0)
EMPTY_COUNTS: Array = np.empty(0, dtype=np.int64)
_EPOCH_2000_US = 946_684_800_000_000  # PostgreSQL counts from 2000-01-01
_HEADER = struct.Struct(">iiIii")  # dimensions, has nulls, element type, length, lower bound: array_send in PostgreSQL


class _ArrayLoader(Loader):
    """One dimension, binary. Each element is preceded by its length in bytes."""

    format = Format.BINARY
    element: ClassVar[np.dtype[Any]]

    def load(self, data: Buffer) -> Array:
        if len(data) < _HEADER.size:
            return EMPTY
        dimensions, has_nulls, _, length, _ = _HEADER.unpack_from(data)
        if dimensions != 1 or has_nulls:
            raise ValueError("an array with nulls, or of several dimensions: the statement should not give one")
        pairs = np.frombuffer(
            data, dtype=[("length", ">i4"), ("value", self.element)], count=length, offset=_HEADER.size
        )
        return pairs["value"].astype(self.element.newbyteorder("="))


class _Floats(_ArrayLoader):
    element = np.dtype(">f8")


class _Longs(_ArrayLoader):
    element = np.dtype(">i8")


class _Integers(_ArrayLoader):
    element = np.dtype(">i4")


class _Times(_Longs):
    """timestamptz[] as µs since 1970; −infinity stays the smallest integer."""

    def load(self, data: Buffer) -> Array:
        return times_since_1970(super().load(data))


def times_since_1970(since_2000: Array) -> Array:
    """PostgreSQL's µs as µs since 1970; −infinity stays the smallest integer."""
    times: Array = np.where(since_2000 == np.iinfo(np.int64).min, since_2000, since_2000 + _EPOCH_2000_US)
    return times


async def arrays_register(connection: AsyncConnection[Any]) -> None:
    """Make this connection load float8[], int8[], int4[] and timestamptz[] as numpy arrays."""
    for name, loader in (("float8", _Floats), ("int8", _Longs), ("int4", _Integers), ("timestamptz", _Times)):
        info = connection.adapters.types[name]
        connection.adapters.register_loader(info.array_oid, loader)


def finite_only(columns: Sequence[Array]) -> list[Array]:
    """NaN for every value that is infinite or beyond ±1e290, as `telemetry.ddl.finite` does it in SQL."""
    return [
        column if column.dtype.kind != "f" or _is_plain(column) else np.where(np.abs(column) <= 1e290, column, np.nan)
        for column in columns
    ]


def _is_plain(column: Array) -> bool:
    return len(column) == 0 or not np.fmax.reduce(np.abs(column)) > 1e290


@lru_cache(maxsize=512)
def as_array(integers: Sequence[int]) -> Array:
    """Bucket edges (a range or a tuple) as an array, cached."""
    if isinstance(integers, range):
        return np.arange(integers.start, integers.stop, integers.step, dtype=np.int64)
    return np.asarray(integers, dtype=np.int64)


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


def bucket_columns(row: Sequence[Any]) -> Columns:
    """From a row `(newest, starts, counts, values, …)`, whose buckets may come in any order."""
    last, starts, counts, *values = row
    newest = None if last is None else us_from_datetime(last)
    if starts is None:
        return Columns(EMPTY, EMPTY_COUNTS, [EMPTY] * len(values), newest)
    if np.any(starts[1:] < starts[:-1]):
        order = np.argsort(starts)
        starts, counts, values = starts[order], counts[order], [column[order] for column in values]
    return Columns(starts, counts, values, newest)


def spread(column: Array, slots: Array, length: int, *, is_count: bool) -> Array:
    """`column` put at `slots` of an array of `length`; elsewhere 0 for a count, else NaN."""
    out: Array = np.zeros(length, dtype=np.int64) if is_count else np.full(length, np.nan)
    out[slots] = column
    return out


def filled_forward(column: Array) -> Array:
    """NaN replaced by the last number before it; what stands before the first number stays NaN."""
    last = np.where(np.isnan(column), 0, np.arange(len(column)))
    forward: Array = column[np.maximum.accumulate(last)]
    return forward


def as_list(column: Array) -> list[Any]:
    """Python numbers, None for NaN."""
    return [None if value != value else value for value in column.tolist()]


def iso_times(times: Array) -> list[str]:
    """µs since 1970 as ISO 8601, as `telemetry.times.iso_from_us` writes them."""
    text = np.datetime_as_string(times.astype("datetime64[us]")).tolist()
    return [f"{time.removesuffix('000')}Z" for time in text]
