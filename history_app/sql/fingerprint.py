"""The fingerprint of a window's contents: it changes with every reading added, corrected or removed.

It is made of the rows that the reader rule would read: the transaction that wrote each tier row (`xmin`), and the rows
of the change log. A change is in the log until the rollup has rewritten the tier's row, both in one transaction, so
equal fingerprints mean equal contents. That takes a few hundred index entries and no aggregate.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache

from psycopg.sql import SQL, Composed, Identifier, Literal

from core.catalogue import CATALOGUE
from history_app.planning.sources import Sources
from history_app.planning.window import Window
from history_app.sql.levels import LOG, Shape, span_tables
from history_app.sql.names import moment
from history_app.store.connection import Connection
from telemetry.floor import floor_of
from telemetry.tiers import BUCKET, DEVICE, Tier
from telemetry.times import SECOND_US

MAX_ROWS = 1_000


async def fetch_fingerprint(
    connection: Connection, device_id: str, window: Window, sources: Sources
) -> Hashable | None:
    """Equal for equal contents of the window; None if that takes more than MAX_ROWS rows or there are no tiers."""
    span = window.high - window.low
    base = next((known.tier for known in sources.tiers if span <= MAX_ROWS * known.tier.seconds * SECOND_US), None)
    if base is None:
        return None
    shape = tuple((known.tier, False) for known in reversed(sources.tiers) if known.tier.seconds <= base.seconds)
    length = base.seconds * SECOND_US
    low, high = window.low // length * length, -(-window.high // length) * length
    cursor = connection.cursor(binary=True)
    parameters = {"device": device_id, "low": moment(low), "high": moment(high)}
    await cursor.execute(_statement(shape), parameters)
    return (window.low, window.high, window.step.name, await cursor.fetchone())


@lru_cache(maxsize=16)
def _statement(shape: Shape) -> bytes:
    rows = SQL(" UNION ALL ").join(_rows(index, tier) for index, (tier, _) in enumerate(shape))
    return (
        SQL(
            "WITH {spans} SELECT {floor}::text, (SELECT md5(string_agg(written, ' ' ORDER BY start, length))"
            " FROM ({rows}) AS tiers), (SELECT md5(string_agg(concat_ws(' ', xmin, ctid, stage), ',' ORDER BY ctid))"
            " FROM {log} WHERE device_id = %(device)s AND first < %(high)s AND last >= %(low)s)"
        )
        .format(spans=span_tables(shape), floor=floor_of(CATALOGUE), rows=rows, log=LOG)
        .as_bytes()
    )


def _rows(index: int, tier: Tier) -> Composed:
    return SQL(
        "SELECT start, {length} AS length, written FROM spans CROSS JOIN LATERAL unnest({span}) AS span"
        " CROSS JOIN LATERAL (SELECT {bucket} AS start, xmin::text AS written FROM {table} WHERE {device} = %(device)s"
        " AND {bucket} >= lower(span) AND {bucket} < upper(span) OFFSET 0) AS inside"
    ).format(
        length=Literal(tier.seconds),
        span=Identifier(f"span{index}"),
        bucket=Identifier(BUCKET),
        table=Identifier(CATALOGUE.schema, tier.table),
        device=Identifier(DEVICE),
    )
