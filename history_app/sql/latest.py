"""The statement that reads the newest stored readings of several devices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from history_app.sql.names import TIME_US, moment, newest_rows
from history_app.store.connection import Connection
from telemetry.cadence import READINGS_FOR_REACH
from telemetry.ddl import finite
from telemetry.reading import Reading


async def fetch_latest(connection: Connection, device_ids: Sequence[str], now: int) -> dict[str, list[Reading]]:
    """The newest stored readings of each device, newest first, as many as the reach needs.

    Readings ahead of `now` (µs) count only for a device that has no others. Devices without a reading are left out.
    """
    found = await _fetch_latest(connection, device_ids, now)
    ahead = [device_id for device_id in device_ids if device_id not in found]
    return found | await _fetch_latest(connection, ahead, None) if ahead else found


async def _fetch_latest(
    connection: Connection, device_ids: Sequence[str], until: int | None
) -> dict[str, list[Reading]]:
    cursor = connection.cursor(binary=True)
    parameters = {"devices": list(device_ids), "now": None if until is None else moment(until)}
    await cursor.execute(_latest_statement(), parameters)
    found: dict[str, list[Reading]] = {}
    for device_id, us, *values in await cursor.fetchall():
        found.setdefault(device_id, []).append(Reading(device_id, us, tuple(values)))
    return found


@lru_cache(maxsize=1)
def _latest_statement() -> bytes:
    """Rows `(device, µs, values …)`, newest first within a device."""
    columns = [finite(Identifier(metric.column)) for metric in CATALOGUE.metrics]
    newest = newest_rows(
        [SQL("{} AS us").format(TIME_US), *columns],
        where=" AND {time} <= coalesce(%(now)s::timestamptz, 'infinity')",
        limit=READINGS_FOR_REACH,
    )
    text = SQL(
        "SELECT asked.device, newest.* FROM unnest(%(devices)s::text[]) AS asked(device)"
        " CROSS JOIN LATERAL ({}) AS newest"
    )
    return text.format(newest).as_bytes().replace(b"%(device)s", b"asked.device")
