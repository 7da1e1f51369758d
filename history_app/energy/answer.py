"""Answers energy questions: periods → rows of tiers and raw readings in one snapshot → figures. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from core.fair import in_turn
from history_app.energy.cover import QUARTER_US
from history_app.energy.document import periods_documents
from history_app.energy.fetch import fetch_rows, tiers_are_missing
from history_app.energy.figures import Figures, figures_of, figures_together, figures_total
from history_app.energy.question import EnergyQuestion
from history_app.energy.rows import NO_ROWS, Rows, rows_where
from history_app.query_metrics import query
from history_app.store.connection import Connection
from history_app.store.pool import telemetry_run
from telemetry.times import SECOND_US

ROWS_PER_UNIT = 60  # of core/fair.py
SINCE_READ_US = 2 * 86_400 * SECOND_US  # a bucket of the coarsest tier, and a reach


async def energy_read(device_ids: Sequence[str], question: EnergyQuestion) -> list[Figures]:
    """The figures of each device by period, in the order of the devices. Raises `Unavailable`."""

    async def work(connection: Connection) -> list[Rows]:
        return await _rows(connection, device_ids, question)

    return [await _figures(rows, question) for rows in await telemetry_run(work)]


async def _rows(connection: Connection, device_ids: Sequence[str], question: EnergyQuestion) -> list[Rows]:
    with query("energy"):
        try:
            return await _visible_rows(connection, device_ids, question)
        except psycopg.Error as error:
            if not tiers_are_missing(error):
                raise
            return await _visible_rows(connection, device_ids, question)


async def _visible_rows(connection: Connection, device_ids: Sequence[str], question: EnergyQuestion) -> list[Rows]:
    """The rows of each device; those with a former owner are read one by one."""
    edges, since = question.window.edges, question.since
    unlimited = [device_id for device_id in device_ids if device_id not in since]
    found = dict(zip(unlimited, await fetch_rows(connection, unlimited, edges, question.now), strict=True))
    for device_id in set(device_ids).intersection(since):
        found[device_id] = await _rows_since(connection, device_id, edges, question.now, since[device_id])
    return [found[device_id] for device_id in device_ids]


async def _rows_since(connection: Connection, device_id: str, edges: Sequence[int], now: int, since: int) -> Rows:
    """The rows of the quarters of an hour that began at `since` (µs) or later, as if there were no earlier readings."""
    earliest = since + -since % QUARTER_US
    if earliest >= edges[-1]:
        return NO_ROWS
    # A row of a day may begin before `earliest` and still hold the readings that the first holds depend on.
    before = (earliest,) if earliest > edges[0] - SINCE_READ_US else ()
    visible = sorted({*before, *(edge for edge in edges if edge > earliest)})
    (rows,) = await fetch_rows(connection, [device_id], tuple(visible), now)
    return rows_where(rows, rows["first_1"] >= earliest)


async def _figures(rows: Rows, question: EnergyQuestion) -> Figures:
    units = (len(question.edges) + len(rows["count"])) / ROWS_PER_UNIT
    return await in_turn(lambda: figures_of(rows, question.edges, question.now), units=units)


async def energy_document(device_id: str, question: EnergyQuestion, figures: Figures) -> dict[str, Any]:
    """The question, its `periods`, and their `total` (fields: docs/energy.md)."""
    return {"device_id": device_id, **_asked(question), **await _sums(question, figures)}


async def energies_document(
    device_ids: Sequence[str], question: EnergyQuestion, figures: Sequence[Figures]
) -> dict[str, Any]:
    """The question, `devices` with the figures of each, and the figures of all together."""
    devices = [
        {"device_id": device_id, **await _sums(question, found)}
        for device_id, found in zip(device_ids, figures, strict=True)
    ]
    together = figures_together(figures) if figures else figures_of(NO_ROWS, question.edges, question.now)
    return {**_asked(question), "devices": devices, **await _sums(question, together)}


def _asked(question: EnergyQuestion) -> dict[str, Any]:
    return {"period": question.period, "tz": question.zone.key}


async def _sums(question: EnergyQuestion, figures: Figures) -> Mapping[str, Any]:
    (total,) = await periods_documents(figures_total(figures), question.now)
    return {
        "coverage": total["coverage"],
        "source": total["source"],
        "periods": await periods_documents(figures, question.now),
        "total": total,
    }
