"""Reads the rows that an energy question needs, in one snapshot: tiers where they are right, raw readings elsewhere.

One statement answers while the rollup keeps up. Where it does not, the raw readings follow piece by piece.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
from django.conf import settings

from history_app.energy.cover import QUARTER_US, Cover, cover
from history_app.energy.rows import REACH_MAX_US, Rows, rows_join, rows_of_readings, rows_reduce, rows_unpack
from history_app.energy.statements import (
    BEFORE,
    IS_COUNTER,
    METRICS,
    RAW,
    RAW_AFTER,
    RAW_BEFORE,
    TIER_SPANS,
    nearest_statement,
    readings_statement,
    rows_statement,
)
from history_app.sql.devices import fetch_each
from history_app.store.arrays import Array, as_array
from history_app.store.connection import Connection
from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime

Span = tuple[int, int]
# Raw readings are read and reduced piece by piece, so that memory stays bounded however many there are.
PIECE_US = 6 * 3_600 * SECOND_US
PIECE_MAX_US = 256 * PIECE_US
PIECE_READINGS = 20_000
# The rollup rebuilds the energy tiers within a quarter of an hour and a minute or two.
RECENT_US = 3_600 * SECOND_US
TIERS_MISSING_S = 30.0
_BEGINNING = us_from_datetime(datetime_from_us(-62_135_596_800 * SECOND_US))  # year 1: before any reading
_TIERS_ARE_MISSING = (
    psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege,
)  # fmt: skip
_missing_at = -math.inf


@dataclass(slots=True)
class _Parts:
    """What was read so far, and the spans whose raw readings are still to be read."""

    rows: list[Rows] = field(default_factory=list)
    spans: dict[int, list[Span]] = field(default_factory=lambda: {RAW: [], RAW_BEFORE: [], RAW_AFTER: []})

    def of(self, metric: int) -> tuple[Array, Array]:
        """Times of the first readings of the rows of a metric in time order, and their numbers of readings."""
        chosen = [rows["metric"] == metric for rows in self.rows]
        times, counts = (
            np.concatenate([rows[name][where] for rows, where in zip(self.rows, chosen, strict=True)] or [_NOTHING])
            for name in ("first_1", "count")
        )
        order = np.argsort(times)
        return times[order], counts[order]


_NOTHING: Array = np.empty(0, dtype=np.int64)


async def fetch_rows(connection: Connection, device_ids: Sequence[str], window: Sequence[int], now: int) -> list[Rows]:
    """The rows of each device: those of the periods, and what the holds of their first readings, and the increases at
    both ends, depend on. Readings at `now` or later are left out.

    `window`: the edges of the periods, µs. Raises what the driver raises.
    """
    covered, edges = cover(window), as_array(window)
    found: list[Rows | None] = [None] * len(device_ids)
    if _uses_tiers() and device_ids:
        recent = max(covered.low, (now - RECENT_US) // QUARTER_US * QUARTER_US)
        raw = recent, max(recent, min(covered.high, now))
        answers = await fetch_each(connection, device_ids, rows_statement(), _parameters(covered, raw))
        found = [_complete(answer, edges, now, covered, raw) for answer in answers]
    return [
        await _fetch_piecewise(connection, device_id, edges, now, covered) if rows is None else rows
        for device_id, rows in zip(device_ids, found, strict=True)
    ]


def _complete(answer: Sequence[Any], edges: Array, now: int, covered: Cover, raw: Span) -> Rows | None:
    """The rows in the answer of one statement; None if raw readings are missing."""
    parts = _parts(answer, edges)
    if parts.spans[RAW_BEFORE] or any(low < raw[0] for low, _ in parts.spans[RAW]):
        return None
    for metric in np.flatnonzero(IS_COUNTER):
        if _spans_after(int(metric), covered.high, now, parts):
            return None
    return rows_join(parts.rows)


async def _fetch_piecewise(connection: Connection, device_id: str, edges: Array, now: int, covered: Cover) -> Rows:
    """The rows of a device, however many raw readings that takes."""
    async with _snapshot(connection):
        parts = _everything_raw(covered)
        if _uses_tiers():
            nothing = covered.low, covered.low
            (answer,) = await fetch_each(connection, [device_id], rows_statement(), _parameters(covered, nothing))
            parts = _parts(answer, edges)
        for span in parts.spans[RAW]:
            await _read_raw(connection, device_id, (span[0], min(span[1], now)), edges, parts)
        for metric in range(len(METRICS)):
            await _read_before(connection, device_id, metric, covered.low, parts)
            if IS_COUNTER[metric]:
                await _read_after(connection, device_id, metric, covered.high, now, parts)
    return rows_join(parts.rows)


@asynccontextmanager
async def _snapshot(connection: Connection) -> AsyncIterator[None]:
    """Statements in it see one state of the database."""
    async with connection.transaction():
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


def _parameters(covered: Cover, raw: Span) -> dict[str, Any]:
    """The parameters of `rows_statement`. `raw`: where it reads raw readings."""
    return {
        "low": datetime_from_us(covered.low),
        "high": datetime_from_us(covered.high),
        "raw_low": datetime_from_us(raw[0]),
        "raw_high": datetime_from_us(raw[1]),
        **dict(zip(TIER_SPANS, covered.by_tier, strict=True)),
    }


def _parts(answer: Sequence[Any], edges: Array) -> _Parts:
    """From the row of `rows_statement`."""
    parts = _Parts()
    spans, readings, rows = answer[:3], answer[3 : 4 + len(METRICS)], answer[4 + len(METRICS) :]
    if spans[0] is not None:
        for which, low, high in sorted(zip(*(column.tolist() for column in spans), strict=True)):
            parts.spans[which].append((low, high))
    if rows[0] is not None:
        parts.rows.append(rows_unpack(*rows))
    _add_readings(readings, edges, parts)
    return parts


def _add_readings(columns: Sequence[Any], edges: Array, parts: _Parts) -> int:
    """Add readings (their times, then the values of each metric, NaN for null), reduced to a row per period.

    Returns the number of readings.
    """
    times, *values = columns
    if times is None:
        return 0
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times)
        times, values = times[order], [column[order] for column in values]
    table: Array = np.array(values)
    metric, place = np.nonzero(~np.isnan(table))
    if len(metric):
        parts.rows.append(rows_reduce(metric, times[place], table[metric, place], edges, IS_COUNTER))
    return len(times)


async def _read_raw(connection: Connection, device_id: str, span: Span, edges: Array, parts: _Parts) -> None:
    """Add what the raw readings of a span say, reduced to a row per period."""
    (low, end), length = span, PIECE_US
    while low < end:
        high = min(low + length, end)
        columns = await _fetch_arrays(connection, readings_statement(), device_id, (low, high))
        count = _add_readings(columns, edges, parts)
        length = min(2 * length, PIECE_MAX_US) if count < PIECE_READINGS else max(length // 2, SECOND_US)
        low = high


async def _read_before(connection: Connection, device_id: str, metric: int, low: int, parts: _Parts) -> None:
    """Add the last readings before the window, from spans with logged changes.

    A reading more than the longest reach away matters only for the reach of others: not if there are no others.
    """
    times, counts = parts.of(metric)
    since = _BEGINNING
    if counts[times < low].sum() >= BEFORE:
        since = int(times[0])
    near = max(since, low - int(REACH_MAX_US))
    missing = await _read_last(connection, device_id, metric, (near, low), BEFORE, parts)
    if missing and (len(times) or missing < BEFORE or IS_COUNTER[metric]):
        await _read_last(connection, device_id, metric, (since, near), missing, parts)


async def _read_last(
    connection: Connection, device_id: str, metric: int, bounds: Span, missing: int, parts: _Parts
) -> int:
    """Add the last `missing` readings within bounds, from spans with logged changes; how many are missing still."""
    for span in reversed(_within(parts.spans[RAW_BEFORE], bounds)):
        if missing:
            missing -= await _read_nearest(connection, device_id, metric, span, missing, parts)
    return missing


async def _read_after(connection: Connection, device_id: str, metric: int, high: int, now: int, parts: _Parts) -> None:
    """Add the first reading after the window, from spans with logged changes."""
    for span in _spans_after(metric, high, now, parts):
        if await _read_nearest(connection, device_id, metric, span, 1, parts, is_after=True):
            return


def _spans_after(metric: int, high: int, now: int, parts: _Parts) -> list[Span]:
    """The spans with logged changes that may hold the first reading after the window."""
    times, _ = parts.of(metric)
    later = times[times >= high]
    return _within(parts.spans[RAW_AFTER], (high, min(now, int(later[0])) if len(later) else now))


async def _read_nearest(
    connection: Connection, device_id: str, metric: int, span: Span, limit: int, parts: _Parts, *,
    is_after: bool = False,
) -> int:  # fmt: skip
    """Add at most `limit` readings of the end of a span, or of its beginning; how many there were."""
    statement = nearest_statement(METRICS[metric], is_after=is_after)
    found = await _fetch_arrays(connection, statement, device_id, span, limit=limit)
    if not found:
        return 0
    times, values = found
    order = np.argsort(times)
    parts.rows.append(rows_of_readings(np.full(len(times), metric), times[order], values[order]))
    return len(times)


async def _fetch_arrays(
    connection: Connection, statement: bytes, device_id: str, span: Span, **more: int
) -> Sequence[Any]:
    low, high = map(datetime_from_us, span)
    cursor = await connection.cursor(binary=True).execute(
        statement, {"device": device_id, "low": low, "high": high, **more}
    )
    return await cursor.fetchone() or ()


def _within(spans: Sequence[Span], bounds: Span) -> list[Span]:
    """The parts of spans that lie within bounds."""
    cut = [(max(low, bounds[0]), min(high, bounds[1])) for low, high in spans]
    return [(low, high) for low, high in cut if low < high]
