"""When a device was last heard of, from TimescaleDB: for the device list, where the ring knows nothing."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import DatabaseError, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from history_app.store.router import TELEMETRY
from telemetry.ddl import table_of

_STATEMENT = (
    SQL(
        "SELECT asked.id, newest.{time} FROM unnest(%s::text[]) AS asked(id), LATERAL ("
        "SELECT {time} FROM {table} WHERE {device} = asked.id ORDER BY {time} DESC LIMIT 1) AS newest"
    )
    .format(time=Identifier(CATALOGUE.time), table=table_of(CATALOGUE), device=Identifier(CATALOGUE.device))
    .as_string()
)
logger = logging.getLogger(__name__)


def stored_last_seen(device_ids: Collection[str]) -> Mapping[str, datetime | None]:
    """The time of the newest stored reading of each device that has one. Empty where the database is away."""
    try:
        with connections[TELEMETRY].cursor() as cursor:
            cursor.execute(_STATEMENT, [list(device_ids)])
            return dict(cursor.fetchall())
    except DatabaseError as error:
        logger.warning("last_seen is not known: %s", error)
        return {}


def last_seen_close() -> None:
    """Close the connections that were opened for this, if any."""
    telemetry = connections[TELEMETRY]
    assert isinstance(telemetry, DatabaseWrapper)
    telemetry.close()
    telemetry.close_pool()
