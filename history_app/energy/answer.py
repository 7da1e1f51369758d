"""Answers energy questions: periods → rows of tiers and raw readings in one snapshot → figures. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from core.fair import in_turn
from history_app.energy.document import periods_documents
from history_app.energy.fetch import fetch_rows, tiers_are_missing
from history_app.energy.figures import Figures, figures_of, figures_together, figures_total
from history_app.energy.question import EnergyQuestion
from history_app.energy.rows import NO_ROWS, Rows
from history_app.query_metrics import query
from history_app.store.connection import Connection
from history_app.store.pool import telemetry_run

ROWS_PER_UNIT = 60  # of core/fair.py


async def energy_read(device_ids: Sequence[str], question: EnergyQuestion) -> list[Figures]:
    """The figures of each device by period, in the order of the devices. Raises `Unavailable`."""

    async def work(connection: Connection) -> list[Rows]:
        return await _rows(connection, device_ids, question)

    return [await _figures(rows, question) for rows in await telemetry_run(work)]


async def _rows(connection: Connection, device_ids: Sequence[str], question: EnergyQuestion) -> list[Rows]:
    with query("energy"):
        try:
            return await fetch_rows(connection, device_ids, question.window.edges, question.now)
        except psycopg.Error as error:
            if not tiers_are_missing(error):
                raise
            return await fetch_rows(connection, device_ids, question.window.edges, question.now)


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
