"""The times of the last readings of a device in TimescaleDB: for the device list, if the ring does not suffice."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence

from django.db import DatabaseError, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.sql import SQL

from history_app.sql.names import TIME_US, moment, newest_rows
from history_app.store.router import TELEMETRY
from telemetry.cadence import READINGS_FOR_REACH

_NEWEST = newest_rows(
    [TIME_US], where=" AND {time} <= coalesce(%(now)s::timestamptz, 'infinity')", limit=READINGS_FOR_REACH
)
_STATEMENT = (
    SQL("SELECT asked.id, ARRAY({newest}) FROM unnest(%(devices)s::text[]) AS asked(id)")
    .format(newest=_NEWEST)
    .as_string()
    .replace("%(device)s", "asked.id")
)
logger = logging.getLogger(__name__)


def stored_times(device_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
    """Times (µs) of the newest stored readings of each device, newest first; empty if the database is unavailable.

    Readings ahead of the clock count only for a device that has no others.
    """
    try:
        found = _read(device_ids, time.time_ns() // 1000)
        ahead = [device_id for device_id in device_ids if not found[device_id]]
        return {**found, **_read(ahead, None)} if ahead else found
    except DatabaseError as error:
        logger.warning("last_seen is not known: %s", error)
        return {}


def _read(device_ids: Collection[str], until: int | None) -> dict[str, list[int]]:
    with connections[TELEMETRY].cursor() as cursor:
        parameters = {"devices": list(device_ids), "now": None if until is None else moment(until)}
        cursor.execute(_STATEMENT, parameters)
        return dict(cursor.fetchall())


def last_seen_close() -> None:
    """Close the connections that were opened for this, if any."""
    telemetry = connections[TELEMETRY]
    assert isinstance(telemetry, DatabaseWrapper)
    telemetry.close()
    telemetry.close_pool()
