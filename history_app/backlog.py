"""Stored readings after a cursor: the readings that a live subscription has missed."""

from __future__ import annotations

from core.catalogue import CATALOGUE
from history_app.query_metrics import query
from history_app.sql import raw
from history_app.store.connection import Connection
from history_app.store.pool import telemetry_run
from telemetry.reading import Reading


async def readings_after(device_id: str, after: int, *, limit: int) -> list[Reading]:
    """Stored readings newer than `after` (µs), oldest first, at most `limit`. Raises `Unavailable`."""

    async def work(connection: Connection) -> list[Reading]:
        with query("backlog"):
            return await raw.fetch_after(connection, device_id, after, CATALOGUE.metrics, limit=limit)

    return await telemetry_run(work)


async def newest_stored(device_id: str, before: int) -> int | None:
    """µs of the newest stored reading of a device before `before` (µs), None without one. Raises `Unavailable`."""

    async def work(connection: Connection) -> int | None:
        with query("newest"):
            return (await raw.fetch_newest(connection, [device_id], before=before))[device_id]

    return await telemetry_run(work)
