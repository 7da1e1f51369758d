"""Answers history questions: window → one statement → columns. Knows no request."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from django.conf import settings

from core.catalogue import CATALOGUE
from core.errors import BadRequest, TooLarge
from history_app.parameters import AGG, FILL, MAX_POINTS, RANGE, RESOLUTION
from history_app.planning.plan import plan
from history_app.planning.window import (
    RAW,
    Step,
    Window,
    WindowError,
    choose_step,
    next_step,
    parse_time,
    parse_zone,
    range_start,
)
from history_app.query_metrics import query
from history_app.sql import readings
from history_app.sql.fingerprint import fetch_version
from history_app.sql.readings import Columns
from history_app.sql.tiers import fetch_tier_buckets
from history_app.store.arrays import Array, as_array, filled_forward, spread
from history_app.store.pool import Connection, telemetry_run
from history_app.store.sources import sources_forget, sources_of
from telemetry.catalogue import Metric
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us

# What the database says where a tier that was there a moment ago is not, or not for us, any more.
TIER_IS_GONE = (
    psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege,
)  # fmt: skip
_METRIC_RULE = f"a comma-separated list of {', '.join(CATALOGUE.names)}"


@dataclass(frozen=True, slots=True)
class Question:
    """What history is asked, all checked. `live`: the window reaches the present (see queries)."""

    start: int
    end: int
    now: int
    zone: ZoneInfo
    metrics: tuple[Metric, ...]
    aggs: tuple[str, ...]
    resolution: str
    max_points: int
    fill: str

    @property
    def is_live(self) -> bool:
        return self.end >= self.now

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SECOND_US


@dataclass(frozen=True, slots=True)
class History:
    """An answer: the columns of `Columns` after filling, with the window and the table they come from."""

    device_id: str
    question: Question
    window: Window
    source: str
    columns: Columns


def question_parse(parameters: Mapping[str, str], *, default_zone: str) -> Question:
    """Check the parameters of contract section 3 (`parameters.QUESTION`; others do not count).

    Raises `BadRequest` naming the first that cannot be used.
    """
    now = time.time_ns() // 1000
    try:
        zone = parse_zone(parameters.get("tz") or default_zone)
        start, end = _bounds(parameters, now, zone)
        resolution = parameters.get("resolution", RESOLUTION.default)
        choose_step(start, end, resolution=resolution, max_points=1, sample_period_s=CATALOGUE.sample_period_s)
    except WindowError as error:
        raise BadRequest(f"{error}.") from error
    return Question(
        start=start,
        end=end,
        now=now,
        zone=zone,
        metrics=metrics_parse(parameters.get("metrics")),
        aggs=AGG.parse(parameters.get("agg")),
        resolution=resolution,
        max_points=MAX_POINTS.parse(parameters.get("max_points")),
        fill=FILL.parse(parameters.get("fill")),
    )


def metrics_parse(text: str | None) -> tuple[Metric, ...]:
    """Metrics in the order asked for; all of them for None. Raises `BadRequest`."""
    if text is None:
        return CATALOGUE.metrics
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in CATALOGUE.by_name:
            raise BadRequest(f"metrics: {name!r} is not in the catalogue; accepted is {_METRIC_RULE}.")
    return tuple(CATALOGUE.by_name[name] for name in names)


async def history_read(device_id: str, question: Question) -> History:
    """Read one device's history. Raises `TooLarge` and `Unavailable`."""
    (history,) = await histories_read([device_id], question)
    return history


async def histories_read(device_ids: Sequence[str], question: Question) -> list[History]:
    """The history of each device, all in the same buckets and of one snapshot. Raises `TooLarge` and `Unavailable`.

    `auto` aims at fewer points where the devices together would come to more than HISTORY_MAX_QUERY_POINTS.
    """
    question = replace(question, max_points=min(question.max_points, _points_limit(len(device_ids))))

    async def work(connection: Connection) -> list[History]:
        try:
            return await _read(connection, device_ids, question)
        except TIER_IS_GONE:
            sources_forget()
            return await _read(connection, device_ids, question)

    return await telemetry_run(work)


async def history_version(device_id: str, question: Question) -> Hashable | None:
    """Equal as long as the answer to `question` is the same but for the cursor; None where that cannot be told cheaply.

    Raises `Unavailable`.
    """

    async def work(connection: Connection) -> Hashable | None:
        sources = await sources_of(connection, device_id)
        window = Window(question.start, question.end, _step(question), question.zone)
        return await fetch_version(connection, device_id, window, sources)

    version = await telemetry_run(work)
    return None if version is None else (version, question.is_live)


def _step(question: Question) -> Step:
    return choose_step(
        question.start,
        question.end,
        resolution=question.resolution,
        max_points=question.max_points,
        sample_period_s=CATALOGUE.sample_period_s,
    )


async def _read(connection: Connection, device_ids: Sequence[str], question: Question) -> list[History]:
    step = _step(question)
    sources = [await sources_of(connection, device_id) for device_id in device_ids]
    if step.is_raw and not any(known.has_aged_out(CATALOGUE.table, question.start) for known in sources):
        histories = await _raw(connection, device_ids, question)
        if histories is not None:
            return histories
        step = next_step(RAW, question.seconds, question.max_points)
    asked = _bucket_window(question, step, len(device_ids))
    chosen = plan(sources, asked, question.metrics)
    window = chosen.window
    _bucket_window(question, window.step, len(device_ids))
    if chosen.levels:
        source = chosen.levels[-1].table
        with query("history", source):
            found = await fetch_tier_buckets(
                connection, device_ids, chosen, question.metrics, question.aggs, live=question.is_live
            )
    else:
        source = CATALOGUE.table
        with query("history"):
            found = await readings.fetch_buckets(
                connection, device_ids, window, question.metrics, question.aggs, live=question.is_live
            )
    return [
        History(device_id, question, window, source, _filled(columns, window, question))
        for device_id, columns in zip(device_ids, found, strict=True)
    ]


async def _raw(connection: Connection, device_ids: Sequence[str], question: Question) -> list[History] | None:
    """The readings themselves; None where a device has too many of them and buckets will do."""
    window = Window(question.start, question.end, RAW, question.zone)
    limit = _points_limit(len(device_ids)) if question.resolution == "raw" else question.max_points
    with query("history"):
        found = await readings.fetch_raw(
            connection, device_ids, window, question.metrics, limit=limit + 1, live=question.is_live
        )
    if any(len(columns.starts) > limit for columns in found):
        if question.resolution == "raw":
            raise _too_many(f"more than {limit} readings", len(device_ids))
        return None
    # Every aggregate of a reading is the reading itself.
    return [
        History(
            device_id,
            question,
            window,
            CATALOGUE.table,
            replace(columns, values=[column for column in columns.values for _ in question.aggs]),
        )
        for device_id, columns in zip(device_ids, found, strict=True)
    ]


async def readings_after(device_id: str, after: int, *, limit: int) -> list[Reading]:
    """Stored readings newer than `after` (µs), oldest first, at most `limit`. Raises `Unavailable`."""

    async def work(connection: Connection) -> list[Reading]:
        with query("backlog"):
            return await readings.fetch_after(connection, device_id, after, limit=limit)

    return await telemetry_run(work)


async def newest_stored(device_id: str) -> int | None:
    """µs of the newest stored reading of a device, None where there is none. Raises `Unavailable`."""

    async def work(connection: Connection) -> int | None:
        with query("newest"):
            return (await readings.fetch_newest(connection, [device_id]))[device_id]

    return await telemetry_run(work)


def _bounds(parameters: Mapping[str, str], now: int, zone: ZoneInfo) -> tuple[int, int]:
    end = parse_time("end", parameters["end"], zone) if "end" in parameters else now
    if "start" in parameters:
        if "range" in parameters:
            raise WindowError("range", "give either range (with or without end) or start and end")
        start = parse_time("start", parameters["start"], zone)
    else:
        start = range_start(parameters.get("range", RANGE.default), end, zone)
    if start >= end:
        raise WindowError("start", "must be before end")
    return start, end


def _points_limit(devices: int) -> int:
    """The most points of each of so many devices."""
    if devices == 1:
        return settings.HISTORY_MAX_EXPLICIT_POINTS
    return max(1, min(settings.HISTORY_MAX_EXPLICIT_POINTS, settings.HISTORY_MAX_QUERY_POINTS // devices))


def _bucket_window(question: Question, step: Step, devices: int) -> Window:
    limit = _points_limit(devices)
    if not step.is_raw and question.seconds > limit * step.seconds:
        raise _too_many(f"{int(question.seconds / step.seconds)} buckets, more than {limit}", devices)
    return Window(question.start, question.end, step, question.zone)


def _too_many(what: str, devices: int) -> TooLarge:
    return TooLarge(
        f"resolution: this would be {what}{'' if devices == 1 else f' for each of {devices} devices'}; take a coarser"
        " resolution, a shorter range, or GET /api/history/{device_id}/export for every reading."
    )


def _filled(found: Columns, window: Window, question: Question) -> Columns:
    """Put the buckets that hold readings among all of the window's, as `fill` asks."""
    starts = as_array(window.edges)[:-1]
    if question.fill == "none":
        return found
    if len(found.starts) != len(starts):
        slots = np.searchsorted(starts, found.starts)
        counts = spread(found.counts, slots, len(starts), is_count=True)
        aggs = question.aggs * len(question.metrics)
        values: Sequence[Array] = [
            spread(column, slots, len(starts), is_count=agg == "count")
            for column, agg in zip(found.values, aggs, strict=True)
        ]
        found = Columns(starts, counts, values, found.newest)
    if question.fill == "previous":
        values = [filled_forward(column) if column.dtype.kind == "f" else column for column in found.values]
        found = replace(found, values=values)
    return found


def history_document(history: History) -> dict[str, Any]:
    """The JSON answer of contract section 3, for orjson with OPT_SERIALIZE_NUMPY."""
    return {**window_document(history), **columns_document(history)}


def window_document(history: History) -> dict[str, Any]:
    """What devices asked the same question have in common."""
    question, window = history.question, history.window
    return {
        "start": iso_from_us(window.low),
        "end": iso_from_us(window.high),
        "resolution": window.step.name,
        "resolution_seconds": window.step.resolution_seconds,
        "tz": window.zone.key,
        "partial_last": not window.step.is_raw and window.high > question.now,
    }


def columns_document(history: History) -> dict[str, Any]:
    """What one device answers."""
    question, columns = history.question, history.columns
    values = iter(columns.values)
    return {
        "device_id": history.device_id,
        "source": history.source,
        "points": len(columns.starts),
        "cursor": None if columns.newest is None else iso_from_us(columns.newest),
        "time": columns.starts // 1000,
        "count": columns.counts,
        "metrics": {
            metric.name: {"unit": metric.unit, **{agg: next(values) for agg in question.aggs}}
            for metric in question.metrics
        },
    }
