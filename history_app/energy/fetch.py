"""Reads the rows that an energy question needs, in one snapshot: tiers where they are right, raw readings elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import psycopg
from django.conf import settings

from history_app.energy.cover import Cover, Span, cover
from history_app.energy.rows import COLUMNS, REACH_MAX_US, Rows, rows_join, rows_of_readings, rows_reduce
from history_app.energy.statements import (
    BEFORE,
    COUNTERS,
    METRICS,
    RAW,
    RAW_AFTER,
    RAW_BEFORE,
    TIER_SPANS,
    nearest_statement,
    readings_statement,
    rows_statement,
    spans_statement,
)
from history_app.store.arrays import EMPTY, Array
from history_app.store.connection import Connection
from telemetry.catalogue import Metric
from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime

# Raw readings are read and reduced piece by piece, so that memory stays bounded however many there are.
PIECE_US = 6 * 3_600 * SECOND_US
PIECE_MAX_US = 256 * PIECE_US
PIECE_READINGS = 20_000
TIERS_MISSING_S = 30.0
_BEGINNING = us_from_datetime(datetime_from_us(-62_135_596_800 * SECOND_US))  # year 1: before any reading
_TIERS_ARE_MISSING = (
    psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege,
)  # fmt: skip
_missing_at = -math.inf


@dataclass(slots=True)
class _Parts:
    """What was read so far: rows by metric, and the spans whose raw readings are still to be read."""

    rows: dict[str, list[Rows]] = field(default_factory=lambda: {metric.name: [] for metric in METRICS})
    spans: dict[int, list[Span]] = field(default_factory=lambda: {RAW: [], RAW_BEFORE: [], RAW_AFTER: []})


async def fetch_rows(connection: Connection, device_id: str, edges: Array, now: int) -> Mapping[str, Rows]:
    """Rows in time order for each of METRICS: those of the periods between `edges` (µs), and what the holds of their
    first readings, and the increases at both ends, depend on. Readings at `now` or later are left out.

    Raises what the driver raises.
    """
    covered = cover(edges)
    async with _snapshot(connection):
        parts = await _tier_parts(connection, device_id, covered) if _uses_tiers() else _everything_raw(covered)
        for span in parts.spans[RAW]:
            await _read_raw(connection, device_id, (span[0], min(span[1], now)), edges, parts)
        for metric in METRICS:
            await _read_before(connection, device_id, metric, covered.low, parts)
            if metric.is_counter:
                await _read_after(connection, device_id, metric, covered.high, now, parts)
    return {name: rows_join(found) for name, found in parts.rows.items()}


@asynccontextmanager
async def _snapshot(connection: Connection) -> AsyncIterator[None]:
    """Statements in it see one state of the database. They are sent together until a result is fetched."""
    async with connection.pipeline(), connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _uses_tiers() -> bool:
    return bool(settings.HISTORY_USE_TIERS) and time.monotonic() - _missing_at > TIERS_MISSING_S


def tiers_are_missing(error: psycopg.Error) -> bool:
    """Whether an error says that this database has no energy tiers: then, for a while, everything is read raw."""
    global _missing_at
    if not isinstance(error, _TIERS_ARE_MISSING) or not _uses_tiers():
        return False
    _missing_at = time.monotonic()
    return True


def _everything_raw(covered: Cover) -> _Parts:
    parts = _Parts()
    parts.spans[RAW].append((covered.low, covered.high))
    parts.spans[RAW_BEFORE].append((_BEGINNING, covered.low))
    parts.spans[RAW_AFTER].append((covered.high, 2**62))
    return parts


async def _tier_parts(connection: Connection, device_id: str, covered: Cover) -> _Parts:
    parameters = {
        "device": device_id,
        "low": datetime_from_us(covered.low),
        "high": datetime_from_us(covered.high),
        "metrics": [metric.name for metric in METRICS],
        "counters": list(COUNTERS),
    }
    for name, spans in zip(TIER_SPANS, covered.by_tier, strict=True):
        parameters[f"{name}_lows"] = [datetime_from_us(low) for low, _ in spans]
        parameters[f"{name}_highs"] = [datetime_from_us(high) for _, high in spans]
    parts = _Parts()
    spans_cursor = await connection.cursor(binary=True).execute(spans_statement(), parameters)
    rows_cursor = await connection.cursor(binary=True).execute(rows_statement(), parameters)
    for which, low, high in await spans_cursor.fetchall():
        parts.spans[which].append((us_from_datetime(low), us_from_datetime(high)))
    for name, *columns in await rows_cursor.fetchall():
        parts.rows[name].append(dict(zip(COLUMNS, columns, strict=True)))
    return parts


async def _read_raw(connection: Connection, device_id: str, span: Span, edges: Array, parts: _Parts) -> None:
    """Add what the raw readings of a span say, reduced to a row per period."""
    (low, end), length = span, PIECE_US
    while low < end:
        high = min(low + length, end)
        arrays = await _fetch_arrays(connection, readings_statement(), device_id, (low, high))
        most = 0
        for metric, times, values in zip(METRICS, arrays[::2], arrays[1::2], strict=True):
            if len(times):
                most = max(most, len(times))
                parts.rows[metric.name].append(rows_reduce(times, values, edges, is_counter=metric.is_counter))
        length = min(2 * length, PIECE_MAX_US) if most < PIECE_READINGS else max(length // 2, SECOND_US)
        low = high


async def _read_before(connection: Connection, device_id: str, metric: Metric, low: int, parts: _Parts) -> None:
    """Add the last readings before the window, from spans with logged changes.

    A reading more than the longest reach away matters only for the reach of others: not if there are no others.
    """
    found = parts.rows[metric.name]
    known = [rows for rows in found if len(rows["first_1"]) and rows["first_1"][0] < low]
    since = _BEGINNING
    if sum(int(rows["count"][rows["first_1"] < low].sum()) for rows in known) >= BEFORE:
        since = min(int(rows["first_1"][0]) for rows in known)
    near = max(since, low - int(REACH_MAX_US))
    missing = await _read_last(connection, device_id, metric, (near, low), BEFORE, parts)
    if missing and (found or metric.is_counter):
        await _read_last(connection, device_id, metric, (since, near), missing, parts)


async def _read_last(
    connection: Connection, device_id: str, metric: Metric, bounds: Span, missing: int, parts: _Parts
) -> int:
    """Add the last `missing` readings within bounds, from spans with logged changes; how many are missing still."""
    for span in reversed(_within(parts.spans[RAW_BEFORE], bounds)):
        if missing:
            missing -= await _read_nearest(connection, device_id, metric, span, missing, parts)
    return missing


async def _read_after(
    connection: Connection, device_id: str, metric: Metric, high: int, now: int, parts: _Parts
) -> None:
    """Add the first reading after the window, from spans with logged changes."""
    later = [times[times >= high] for times in (rows["first_1"] for rows in parts.rows[metric.name])]
    until = min([now, *(int(times[0]) for times in later if len(times))])
    for span in _within(parts.spans[RAW_AFTER], (high, until)):
        if await _read_nearest(connection, device_id, metric, span, 1, parts, is_after=True):
            return


async def _read_nearest(
    connection: Connection, device_id: str, metric: Metric, span: Span, limit: int, parts: _Parts, *,
    is_after: bool = False,
) -> int:  # fmt: skip
    """Add at most `limit` readings of the end of a span, or of its beginning; how many there were."""
    statement = nearest_statement(metric, is_after=is_after)
    found = await _fetch_arrays(connection, statement, device_id, span, limit=limit)
    if not found:
        return 0
    times, values = found
    order = np.argsort(times)
    parts.rows[metric.name].append(rows_of_readings(times[order], values[order]))
    return len(times)


async def _fetch_arrays(
    connection: Connection, statement: bytes, device_id: str, span: Span, **more: int
) -> list[Array]:
    low, high = map(datetime_from_us, span)
    cursor = await connection.cursor(binary=True).execute(
        statement, {"device": device_id, "low": low, "high": high, **more}
    )
    return [EMPTY if array is None else array for array in await cursor.fetchone() or ()]


def _within(spans: Sequence[Span], bounds: Span) -> list[Span]:
    """The parts of spans that lie within bounds."""
    cut = [(max(low, bounds[0]), min(high, bounds[1])) for low, high in spans]
    return [(low, high) for low, high in cut if low < high]
