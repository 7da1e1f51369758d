"""Answers history questions: sources → plan → one statement → columns. Knows no request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import psycopg
from django.conf import settings

from core.catalogue import CATALOGUE
from core.errors import TooLarge
from history_app.history import History
from history_app.planning.plan import Plan, TooManyBuckets, plan
from history_app.planning.sources import Sources
from history_app.planning.window import Window
from history_app.query_metrics import query
from history_app.question import Question
from history_app.sql import raw
from history_app.sql.buckets import fetch_tier_buckets
from history_app.sql.fingerprint import fetch_fingerprint
from history_app.store.arrays import Columns, as_array, filled_forward, spread
from history_app.store.connection import Connection
from history_app.store.pool import telemetry_run
from history_app.store.sources import sources_forget, sources_of

# Errors of the database for a tier that was dropped, changed or revoked after the sources were read.
TIER_IS_GONE = (
    psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege,
)  # fmt: skip
T = TypeVar("T")


async def history_read(device_id: str, question: Question) -> History:
    """Read the history of one device. Raises `TooLarge` and `Unavailable`."""
    (history,) = await histories_read([device_id], question)
    return history


async def histories_read(device_ids: Sequence[str], question: Question) -> list[History]:
    """Read the history of each device, in the same buckets and from one snapshot.

    `auto` aims at fewer points if the devices together would exceed HISTORY_MAX_QUERY_POINTS. Raises `TooLarge` and
    `Unavailable`.
    """
    limit = _points_limit(len(device_ids))
    if question.max_points > limit:
        question = replace(question, max_points=limit)
    return await _run(lambda connection: _read(connection, device_ids, question, limit))


async def history_fingerprint(device_id: str, question: Question) -> Hashable | None:
    """Return a value that changes with the response to `question`, its cursor aside; None if that would cost too much.

    Raises `TooLarge` and `Unavailable`.
    """

    async def work(connection: Connection) -> Hashable | None:
        sources = await sources_of(connection, [device_id], question.now)
        window = _plan(sources, question, _points_limit(1)).window
        with query("version"):
            return await fetch_fingerprint(connection, device_id, window, sources[0])

    found = await _run(work)
    return None if found is None else (found, question.is_live)


async def _run(work: Callable[[Connection], Awaitable[T]]) -> T:
    async def twice(connection: Connection) -> T:
        try:
            return await work(connection)
        except TIER_IS_GONE:
            sources_forget()
            return await work(connection)

    return await telemetry_run(twice)


async def _read(connection: Connection, device_ids: Sequence[str], question: Question, limit: int) -> list[History]:
    sources = await sources_of(connection, device_ids, question.now)
    chosen = _plan(sources, question, limit)
    found = await _fetch(connection, device_ids, question, chosen, limit)
    if found is None:
        chosen = _plan(sources, question, limit, is_raw_too_long=True)
        found = await _fetch(connection, device_ids, question, chosen, limit)
    assert found is not None
    source = CATALOGUE.table if chosen.base is None else chosen.base.table
    return [
        History(
            device_id,
            question,
            chosen.window,
            source,
            known.reach_s,
            _filled(_visible(columns, question.since.get(device_id)), chosen.window, question),
        )
        for device_id, known, columns in zip(device_ids, sources, found, strict=True)
    ]


def _plan(sources: Sequence[Sources], question: Question, limit: int, *, is_raw_too_long: bool = False) -> Plan:
    try:
        return plan(
            sources,
            question.metrics,
            question.start,
            question.end,
            question.zone,
            resolution=question.resolution,
            max_points=question.max_points,
            limit=limit,
            sample_period_s=CATALOGUE.sample_period_s,
            is_raw_too_long=is_raw_too_long,
        )
    except TooManyBuckets as error:
        raise _too_large(str(error), len(sources)) from error


async def _fetch(
    connection: Connection, device_ids: Sequence[str], question: Question, chosen: Plan, limit: int
) -> list[Columns] | None:
    """The columns of each device; None if `auto` chose raw readings and there are too many of them."""
    window, metrics, aggs, now = chosen.window, question.metrics, question.aggs, question.now
    if chosen.base is not None:
        with query("history", chosen.base.table):
            return await fetch_tier_buckets(connection, device_ids, chosen, metrics, aggs, now=now)
    with query("history"):
        if not window.step.is_raw:
            return await raw.fetch_buckets(connection, device_ids, window, metrics, aggs, now=now)
        most = limit if question.resolution == "raw" else question.max_points
        found = await raw.fetch_raw(
            connection, device_ids, window, metrics, limit=most + 1, now=now, is_live=question.is_live
        )
    if any(len(columns.starts) > most for columns in found):
        if question.resolution == "raw":
            raise _too_large(f"more than {most} readings", len(device_ids))
        return None
    if len(aggs) == 1:
        return found
    # Every aggregate of a reading is the reading itself.
    return [replace(columns, values=[column for column in columns.values for _ in aggs]) for columns in found]


def _points_limit(devices: int) -> int:
    """The most points that each of `devices` may get."""
    if devices == 1:
        return settings.HISTORY_MAX_EXPLICIT_POINTS
    return max(1, min(settings.HISTORY_MAX_EXPLICIT_POINTS, settings.HISTORY_MAX_QUERY_POINTS // devices))


def _too_large(what: str, devices: int) -> TooLarge:
    return TooLarge(
        f"resolution: this would be {what}{'' if devices == 1 else f' for each of {devices} devices'}; take a coarser"
        " resolution, a shorter range, or GET /api/history/{device_id}/export for every reading."
    )


def _visible(found: Columns, since: int | None) -> Columns:
    """Without the readings before `since` (µs), and without the bucket that holds some of them."""
    if since is None:
        return found
    shown = found.starts >= since
    newest = found.newest if found.newest is not None and found.newest >= since else None
    return Columns(found.starts[shown], found.counts[shown], [column[shown] for column in found.values], newest)


def _filled(found: Columns, window: Window, question: Question) -> Columns:
    """Put the buckets that hold readings among all buckets of the window, as `fill` asks. Readings stay as they are."""
    if question.fill == "none" or window.step.is_raw:
        return found
    starts = as_array(window.edges)[:-1]
    if len(found.starts) != len(starts):
        slots = np.searchsorted(starts, found.starts)
        counts = spread(found.counts, slots, len(starts), is_count=True)
        aggs = question.aggs * len(question.metrics)
        values = [
            spread(column, slots, len(starts), is_count=agg == "count")
            for column, agg in zip(found.values, aggs, strict=True)
        ]
        found = Columns(starts, counts, values, found.newest)
    if question.fill == "previous":
        values = [filled_forward(column) if column.dtype.kind == "f" else column for column in found.values]
        found = replace(found, values=values)
    return found
