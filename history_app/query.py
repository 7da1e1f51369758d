"""One history question asked of many devices: one statement, one answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings

from asgi_project.errors import TooLarge
from history_app import queries
from history_app.catalogue import CATALOGUE
from history_app.many import fetch_each
from history_app.pool import telemetry_run
from history_app.queries import Columns
from history_app.service import (
    History,
    Question,
    bucket_window,
    columns_document,
    filled,
    too_many,
    window_document,
)
from history_app.window import RAW, Window, choose_step, next_step


async def query_read(device_ids: Sequence[str], question: Question) -> list[History]:
    """The history of each device, all in the same buckets and of one snapshot. Raises `TooLarge` and `Unavailable`.

    `auto` aims at fewer points where the devices together would come to more than HISTORY_MAX_QUERY_POINTS.
    """
    share = max(1, settings.HISTORY_MAX_QUERY_POINTS // len(device_ids))
    question = replace(question, max_points=min(question.max_points, share))
    step = choose_step(
        question.start,
        question.end,
        resolution=question.resolution,
        max_points=question.max_points,
        sample_period_s=CATALOGUE.sample_period_s,
    )
    if step.is_raw:
        histories = await _raw(device_ids, question, share)
        if histories is not None:
            return histories
        step = next_step(RAW, question.seconds, question.max_points)
    window = bucket_window(question, step)
    if question.resolution != "auto" and question.seconds > share * step.seconds:
        raise _too_many_together(len(device_ids))
    asked = queries.bucket_question(window, question.metrics, question.aggs, live=question.is_live)
    rows = await telemetry_run(lambda connection: fetch_each(connection, device_ids, *asked))
    found = (filled(queries.bucket_columns(row, window), window, question) for row in rows)
    return _histories(device_ids, question, window, found)


async def _raw(device_ids: Sequence[str], question: Question, share: int) -> list[History] | None:
    """The readings themselves; None where a device has too many of them and buckets will do."""
    window = Window(question.start, question.end, RAW, question.zone)
    explicit = question.resolution == "raw"
    limit = min(share, settings.HISTORY_MAX_EXPLICIT_POINTS) if explicit else question.max_points
    asked = queries.raw_question(window, question.metrics, limit=limit + 1, live=question.is_live)
    rows = await telemetry_run(lambda connection: fetch_each(connection, device_ids, *asked))
    found = [queries.raw_columns(row) for row in rows]
    if any(len(columns.starts) > limit for columns in found):
        if not explicit:
            return None
        raise _too_many_together(len(device_ids)) if limit == share else too_many(f"more than {limit} readings")
    # Every aggregate of a reading is the reading itself.
    repeated = (
        replace(columns, values=[column for column in columns.values for _ in question.aggs]) for columns in found
    )
    return _histories(device_ids, question, window, repeated)


def _histories(
    device_ids: Sequence[str], question: Question, window: Window, found: Iterable[Columns]
) -> list[History]:
    return [
        History(device_id, question, window, CATALOGUE.table, columns)
        for device_id, columns in zip(device_ids, found, strict=True)
    ]


def query_document(histories: Sequence[History]) -> dict[str, Any]:
    """What the devices have in common, as in GET history, and under `devices` the rest of each, in the order asked."""
    return {**window_document(histories[0]), "devices": [columns_document(history) for history in histories]}


def _too_many_together(devices: int) -> TooLarge:
    return TooLarge(
        f"devices: {devices} devices would come to more than {settings.HISTORY_MAX_QUERY_POINTS} points together; name"
        " fewer of them, take a coarser resolution or a shorter range, or GET /api/history/{device_id}/export."
    )
