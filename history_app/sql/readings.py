"""The statements history asks of the telemetry database. One statement an answer, so one snapshot: the rows and the
cursor belong together. Built from catalogue names only; every value is a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from psycopg import sql
from psycopg.sql import SQL, Composable, Identifier

from core.catalogue import CATALOGUE
from history_app.planning.window import Window, uniform_length
from history_app.sql.devices import fetch_each
from history_app.store.arrays import EMPTY, Array, as_array, never_null
from history_app.store.pool import Connection
from telemetry.catalogue import Metric
from telemetry.ddl import table_of
from telemetry.reading import Reading
from telemetry.times import datetime_from_us, us_from_datetime

_FOREVER = us_from_datetime(datetime.max.replace(tzinfo=UTC))
EMPTY_COUNTS: Array = np.empty(0, dtype=np.int64)
AGGREGATES = ("avg", "min", "max", "count")


@dataclass(frozen=True, slots=True)
class Columns:
    """What was found, as columns of equal length, oldest first.

    `starts`: µs of each reading (raw) or of each bucket that holds one; `counts`: readings in it;
    `values`: one column for each metric and aggregate asked for, metric by metric. `newest`: µs of the newest stored
    reading, None where there is none.
    """

    starts: Array
    counts: Array
    values: Sequence[Array]
    newest: int | None


async def fetch_buckets(
    connection: Connection,
    device_ids: Sequence[str],
    window: Window,
    metrics: Sequence[Metric],
    aggs: Sequence[str],
    *,
    live: bool,
) -> list[Columns]:
    """Aggregate the raw rows of [window.low, window.high) into the window's buckets, for each device."""
    bucket_edges = window.edges
    length = uniform_length(bucket_edges)
    text = _bucket_statement(tuple(metrics), tuple(aggs), uniform=length is not None, live=live)
    parameters = {"low": moment(window.low), "high": moment(window.high)}
    if length is not None:
        parameters["length"] = length
    else:
        parameters["edges"] = [moment(edge) for edge in bucket_edges]
    rows = await fetch_each(connection, device_ids, text, parameters)
    return [bucket_columns(row, bucket_edges) for row in rows]


def bucket_columns(row: Sequence[Any], bucket_edges: Sequence[int]) -> Columns:
    """From the row of a statement that numbers the buckets."""
    newest, numbers, counts, *values = row
    if numbers is None:
        return Columns(EMPTY, EMPTY_COUNTS, [EMPTY] * len(values), microseconds(newest))
    starts = as_array(bucket_edges)[:-1]
    if len(numbers) != len(starts):
        starts = starts[numbers]
    return Columns(starts, counts, values, microseconds(newest))


async def fetch_raw(
    connection: Connection,
    device_ids: Sequence[str],
    window: Window,
    metrics: Sequence[Metric],
    *,
    limit: int,
    live: bool,
) -> list[Columns]:
    """The readings of [window.start, window.end), at most `limit` of each device. `values` has one column a metric.

    Of a live window the newest is the last one found; where there is none, what is older is asked for. So the statement
    touches the chunks of its window only, not the newest of every chunk there is.
    """
    text = _raw_statement(tuple(metrics), live=live)
    parameters = {"low": moment(window.low), "high": moment(window.high), "limit": limit}
    rows = await fetch_each(connection, device_ids, text, parameters)
    newest = {device_id: microseconds(row[0]) for device_id, row in zip(device_ids, rows, strict=True)}
    if live:
        found = {device_id: row[1] for device_id, row in zip(device_ids, rows, strict=True)}
        newest = {device_id: int(starts[-1]) for device_id, starts in found.items() if starts is not None}
        silent = [device_id for device_id in device_ids if device_id not in newest]
        newest |= await fetch_newest(connection, silent, before=window.low)
    return [
        _raw_columns(starts, values, newest[device_id])
        for device_id, (_, starts, *values) in zip(device_ids, rows, strict=True)
    ]


def _raw_columns(starts: Array | None, values: Sequence[Array], newest: int | None) -> Columns:
    if starts is None:
        return Columns(EMPTY, EMPTY_COUNTS, [EMPTY] * len(values), newest)
    return Columns(starts, np.ones(len(starts), dtype=np.int64), values, newest)


async def fetch_after(connection: Connection, device_id: str, after: int, *, limit: int) -> list[Reading]:
    """The readings of a device newer than `after` (µs), oldest first, at most `limit`."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(_after_statement(), {"device": device_id, "after": moment(after), "limit": limit})
    return [Reading(device_id, us, tuple(values)) for us, *values in await cursor.fetchall()]


async def fetch_newest(
    connection: Connection, device_ids: Sequence[str], *, before: int = _FOREVER
) -> dict[str, int | None]:
    """µs of each device's newest stored reading `before` some µs, None where there is none."""
    if not device_ids:
        return {}
    rows = await fetch_each(connection, device_ids, _newest_statement(), {"high": moment(before)})
    return {device_id: microseconds(newest) for device_id, (newest,) in zip(device_ids, rows, strict=True)}


def moment(us: int) -> Any:
    """µs as a parameter."""
    return datetime_from_us(us)


def microseconds(found: Any) -> int | None:
    """A timestamptz that was found as µs."""
    return None if found is None else us_from_datetime(found)


_TABLE = table_of(CATALOGUE)
_TIME = Identifier(CATALOGUE.time)
_DEVICE = Identifier(CATALOGUE.device)
_US = SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(_TIME)


@lru_cache(maxsize=512)
def _bucket_statement(metrics: tuple[Metric, ...], aggs: tuple[str, ...], *, uniform: bool, live: bool) -> bytes:
    if uniform:
        # Of each reading only its bucket's start, which is cheap; of that its number, once a bucket.
        bucket = SQL("date_bin(%(length)s * interval '1 microsecond', {}, %(low)s::timestamptz)").format(_TIME)
        number = SQL("(extract(epoch FROM bucket - %(low)s::timestamptz) * 1000000 / %(length)s)::int")
    else:
        bucket = SQL("width_bucket({}, %(edges)s::timestamptz[]) - 1").format(_TIME)
        number = SQL("bucket")
    columns = [_aggregate(metric, agg) for metric in metrics for agg in aggs]
    names = [Identifier(f"v{index}") for index in range(len(columns))]
    inner = SQL(
        "SELECT {bucket} AS bucket, count(*) AS readings{columns} FROM {table}"
        " WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s GROUP BY 1 ORDER BY 1"
    ).format(
        bucket=bucket,
        columns=sql.Composed(
            [SQL(", {} AS {}").format(column, name) for column, name in zip(columns, names, strict=True)]
        ),
        table=_TABLE,
        device=_DEVICE,
        time=_TIME,
    )
    return in_columns([number, SQL("readings"), *summed(names, aggs)], inner, newest_of(live=live))


def summed(names: Sequence[Composable], aggs: Sequence[str]) -> list[Composable]:
    """The columns of each metric's aggregates, never null: only a count never is by itself."""
    return [name if aggs[index % len(aggs)] == "count" else never_null(name) for index, name in enumerate(names)]


def _aggregate(metric: Metric, agg: str) -> Composable:
    column = Identifier(metric.column)
    if agg == "avg":
        # Sum over count of the raw readings: what the rollup tiers answer too.
        return SQL("sum({0}) / nullif(count({0}), 0)").format(column)
    return SQL("{}({})").format(SQL({"min": "min", "max": "max", "count": "count"}[agg]), column)


@lru_cache(maxsize=512)
def _raw_statement(metrics: tuple[Metric, ...], *, live: bool) -> bytes:
    columns = [Identifier(metric.column) for metric in metrics]
    inner = SQL(
        "SELECT {us} AS us{columns} FROM {table}"
        " WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s ORDER BY {time} LIMIT %(limit)s"
    ).format(
        us=_US,
        columns=sql.Composed([SQL(", {}").format(column) for column in columns]),
        table=_TABLE,
        device=_DEVICE,
        time=_TIME,
    )
    return in_columns(
        [SQL("us"), *map(never_null, columns)], inner, SQL("NULL::timestamptz") if live else newest_of(live=False)
    )


def in_columns(names: Sequence[Composable], inner: Composable, newest: Composable) -> bytes:
    """One row: what `newest` selects, then an array for each name. A few wide values are cheaper than many rows."""
    return (
        SQL("SELECT ({newest}), {arrays} FROM ({inner}) AS found")
        .format(newest=newest, arrays=SQL(", ").join(SQL("array_agg({})").format(name) for name in names), inner=inner)
        .as_bytes()
    )


def newest_of(*, live: bool) -> Composable:
    """The time of the device's newest reading.

    `live`: the window reaches the present. Then "newest" stops at the window's end, so that a reading stamped by a
    clock ahead of ours is in the rows or after the cursor, never neither.
    """
    return SQL("SELECT {time} FROM {table} WHERE {device} = %(device)s{until} ORDER BY {time} DESC LIMIT 1").format(
        time=_TIME, table=_TABLE, device=_DEVICE, until=SQL(" AND {} < %(high)s").format(_TIME) if live else SQL("")
    )


@lru_cache(maxsize=1)
def _after_statement() -> bytes:
    return (
        SQL(
            "SELECT {us}, {columns} FROM {table} WHERE {device} = %(device)s AND {time} > %(after)s"
            " ORDER BY {time} LIMIT %(limit)s"
        )
        .format(
            us=_US,
            columns=SQL(", ").join(Identifier(metric.column) for metric in CATALOGUE.metrics),
            table=_TABLE,
            device=_DEVICE,
            time=_TIME,
        )
        .as_bytes()
    )


@lru_cache(maxsize=1)
def _newest_statement() -> bytes:
    return SQL("SELECT ({}) AS newest").format(newest_of(live=True)).as_bytes()
