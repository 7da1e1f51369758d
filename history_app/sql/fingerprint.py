"""The version of what a window holds: changes with every reading added, corrected or removed; costs no aggregate.

Each row of a tier that a trigger keeps is written anew when a reading of its bucket changes, and PostgreSQL notes the
transaction that wrote it (`xmin`). So the list of these over the window is a version of it: a few hundred index
entries, whatever the raw table holds. Continuous aggregates have no such column, and then there is no version.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

import psycopg
from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from history_app.planning.plan import Sources
from history_app.planning.window import Window
from history_app.query_metrics import query
from history_app.sql.readings import moment
from history_app.store.pool import Connection
from telemetry.tiers import BUCKET, DEVICE
from telemetry.times import SECOND_US

MAX_ROWS = 1_000


async def fetch_version(connection: Connection, device_id: str, window: Window, sources: Sources) -> Hashable | None:
    """Equal for equal contents of the window; None where it cannot be told."""
    tier = next((known for known in sources.tiers if window.high - window.low <= MAX_ROWS * known.length), None)
    if tier is None or tier.complete_since > window.low:
        return None
    cursor = connection.cursor(binary=True)
    parameters = {"device": device_id, "low": moment(window.low - tier.length), "high": moment(window.high)}
    try:
        with query("version", tier.tier.table):
            await cursor.execute(_statement(tier.tier.table), parameters)
    except psycopg.errors.UndefinedColumn:
        return None
    row = await cursor.fetchone()
    aged_out = sources.has_aged_out(CATALOGUE.table, window.low)
    return (window.low // SECOND_US, window.high // SECOND_US, aged_out, None if row is None else row[0])


@lru_cache(maxsize=16)
def _statement(table: str) -> bytes:
    return (
        SQL(
            "SELECT md5(string_agg(xmin::text, ' ' ORDER BY {bucket})) FROM {table}"
            " WHERE {device} = %(device)s AND {bucket} > %(low)s AND {bucket} < %(high)s"
        )
        .format(table=Identifier(CATALOGUE.schema, table), bucket=Identifier(BUCKET), device=Identifier(DEVICE))
        .as_bytes()
    )
