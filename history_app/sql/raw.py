"""The statements that read raw readings only: the readings themselves, short buckets, and what follows a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from psycopg.sql import SQL, Composed, Identifier, Literal

from history_app.planning.window import Window
from history_app.sql.devices import fetch_each
from history_app.sql.names import (
    DEVICE,
    TABLE,
    TIME,
    TIME_US,
    bucket_start,
    in_arrays,
    microseconds,
    moment,
    never_null,
    never_null_values,
    newest_rows,
)
from history_app.store.arrays import EMPTY, EMPTY_COUNTS, Array, Columns, bucket_columns, finite_only
from history_app.store.connection import Connection
from telemetry.catalogue import Metric
from telemetry.ddl import finite
from telemetry.reading import Reading

_AGGREGATES = {
    # Sum over count of the raw readings, like the answer from rollup tiers. The sum of no values is null.
    "avg": "sum({0}) / count({0})",
    "min": "min({0})",
    "max": "max({0})",
    "count": "count({0})",
}


async def fetch_buckets(
    connection: Connection,
    device_ids: Sequence[str],
    window: Window,
    metrics: tuple[Metric, ...],
    aggs: tuple[str, ...],
    *,
    now: int,
) -> list[Columns]:
    """Aggregate the readings of [window.low, window.high) into the window's buckets, for each device."""
    parameters: dict[str, Any] = {"low": moment(window.low), "high": moment(window.high), "before": moment(now)}
    if window.length is None:
        parameters["edges"] = [moment(edge) for edge in window.edges]
    text = _bucket_statement(metrics, aggs, length=window.length)
    rows = await fetch_each(connection, device_ids, text, parameters)
    return [bucket_columns(row) for row in rows]


async def fetch_raw(
    connection: Connection,
    device_ids: Sequence[str],
    window: Window,
    metrics: tuple[Metric, ...],
    *,
    limit: int,
    now: int,
    is_live: bool,
) -> list[Columns]:
    """The readings of [window.start, window.end), at most `limit` of each device; `values`: one column per metric.

    In a live window the newest reading is the last one found before `now` (µs); only if there is none, older ones are
    searched. So the statement touches only the chunks of its window, not the newest of all chunks.
    """
    text = _raw_statement(metrics, is_live=is_live)
    parameters = {
        "low": moment(window.low),
        "high": moment(window.high),
        "before": moment(now),
        "limit": limit,
    }
    rows = await fetch_each(connection, device_ids, text, parameters)
    newest = {device_id: microseconds(row[0]) for device_id, row in zip(device_ids, rows, strict=True)}
    if is_live:
        found = {device_id: row[1] for device_id, row in zip(device_ids, rows, strict=True)}
        newest = {device_id: _last(starts, now) for device_id, starts in found.items()}
        silent = [device_id for device_id in device_ids if newest[device_id] is None]
        newest |= await fetch_newest(connection, silent, before=min(window.low, now))
    return [
        _raw_columns(starts, values, newest[device_id])
        for device_id, (_, starts, *values) in zip(device_ids, rows, strict=True)
    ]


def _last(starts: Array | None, before: int) -> int | None:
    """The last of `starts`, which ascend, that is less than `before` (µs)."""
    if starts is None:
        return None
    count = int(np.searchsorted(starts, before))
    return int(starts[count - 1]) if count else None


def _raw_columns(starts: Array | None, values: Sequence[Array], newest: int | None) -> Columns:
    if starts is None:
        return Columns(EMPTY, EMPTY_COUNTS, [EMPTY] * len(values), newest)
    return Columns(starts, np.ones(len(starts), dtype=np.int64), finite_only(values), newest)


async def fetch_after(
    connection: Connection, device_id: str, after: int, metrics: tuple[Metric, ...], *, limit: int
) -> list[Reading]:
    """The readings of a device newer than `after` (µs), oldest first, at most `limit`."""
    cursor = connection.cursor(binary=True)
    parameters = {"device": device_id, "after": moment(after), "limit": limit}
    await cursor.execute(_after_statement(metrics), parameters)
    return [Reading(device_id, us, tuple(values)) for us, *values in await cursor.fetchall()]


async def fetch_newest(connection: Connection, device_ids: Sequence[str], *, before: int) -> dict[str, int | None]:
    """µs of the newest stored reading of each device that is older than `before` (µs), None without one."""
    if not device_ids:
        return {}
    rows = await fetch_each(connection, device_ids, _newest_statement(), {"before": moment(before)})
    return {device_id: microseconds(newest) for device_id, (newest,) in zip(device_ids, rows, strict=True)}


def newest_time() -> Composed:
    """The time of the newest reading before the parameter `before`."""
    return newest_rows([TIME], where=" AND {time} < %(before)s")


@lru_cache(maxsize=512)
def _bucket_statement(metrics: tuple[Metric, ...], aggs: tuple[str, ...], *, length: int | None) -> bytes:
    """`length`: of every bucket in µs, None if they differ. OFFSET 0: each value is tested for being finite once."""
    width = None if length is None else SQL("{}::interval").format(Literal(f"{length} us"))
    values = [Identifier(f"v{index}") for index in range(len(metrics) * len(aggs))]
    made = [SQL(_AGGREGATES[agg]).format(Identifier(metric.column)) for metric in metrics for agg in aggs]
    columns = [SQL("{} AS {}").format(finite(Identifier(m.column)), Identifier(m.column)) for m in metrics]
    statement = SQL(
        "SELECT ({newest}), {arrays} FROM (SELECT bucket, count(*) AS readings{made} FROM (SELECT {bucket} AS bucket,"
        " {columns} FROM {table} WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s OFFSET 0)"
        " AS readings GROUP BY 1) AS found"
    ).format(
        newest=newest_time(),
        arrays=in_arrays([SQL("bucket"), SQL("readings"), *never_null_values(values, aggs)]),
        made=Composed([SQL(", {} AS {}").format(value, name) for value, name in zip(made, values, strict=True)]),
        bucket=bucket_start(TIME, width),
        columns=SQL(", ").join(columns),
        table=TABLE,
        device=DEVICE,
        time=TIME,
    )
    return statement.as_bytes()


@lru_cache(maxsize=512)
def _raw_statement(metrics: tuple[Metric, ...], *, is_live: bool) -> bytes:
    columns = [Identifier(metric.column) for metric in metrics]
    statement = SQL(
        "SELECT ({newest}), {arrays} FROM (SELECT {us} AS us, {columns} FROM {table}"
        " WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s ORDER BY {time} LIMIT %(limit)s)"
        " AS found"
    ).format(
        newest=SQL("NULL::timestamptz") if is_live else newest_time(),
        arrays=in_arrays([SQL("us"), *map(never_null, columns)]),
        us=TIME_US,
        columns=SQL(", ").join(columns),
        table=TABLE,
        device=DEVICE,
        time=TIME,
    )
    return statement.as_bytes()


@lru_cache(maxsize=16)
def _after_statement(metrics: tuple[Metric, ...]) -> bytes:
    return (
        SQL(
            "SELECT {us}, {columns} FROM {table} WHERE {device} = %(device)s AND {time} > %(after)s"
            " ORDER BY {time} LIMIT %(limit)s"
        )
        .format(
            us=TIME_US,
            columns=SQL(", ").join(finite(Identifier(metric.column)) for metric in metrics),
            table=TABLE,
            device=DEVICE,
            time=TIME,
        )
        .as_bytes()
    )


@lru_cache(maxsize=1)
def _newest_statement() -> bytes:
    return SQL("SELECT ({}) AS newest").format(newest_time()).as_bytes()
