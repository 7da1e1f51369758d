"""The statements that read which tiers exist, the floor, and the properties of a device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from history_app.planning.sources import KnownTier, Sources
from history_app.planning.window import EARLIEST_US, LATEST_US
from history_app.sql.devices import fetch_each
from history_app.sql.names import TIME_US, microseconds, moment, newest_rows
from history_app.store.connection import Connection
from telemetry.cadence import READINGS_FOR_PERIOD, period_s, reach_of_period_s
from telemetry.floor import floor_of
from telemetry.tiers import BUCKET, DEVICE, Tier, rollup_tiers
from telemetry.times import us_from_datetime

TIERS = rollup_tiers(CATALOGUE)
# Without these, a reader cannot tell which buckets of a tier are correct.
_NEEDED = tuple(f"{CATALOGUE.table}_{name}" for name in ("changes", "rollup"))


async def fetch_tables(connection: Connection) -> tuple[tuple[KnownTier, ...], int]:
    """The tiers that exist and may be read, finest first, and the floor (µs). No tiers without the change log."""
    cursor = connection.cursor(binary=True)
    names = [*_NEEDED, *(tier.table for tier in TIERS)]
    await cursor.execute(_TABLES, {"schema": CATALOGUE.schema, "names": names})
    columns = {name: frozenset(found) for name, found in await cursor.fetchall()}
    if any(name not in columns for name in _NEEDED):
        return (), EARLIEST_US
    await cursor.execute(_floor_statement())
    row = await cursor.fetchone()
    floor = EARLIEST_US if row is None or row[0] is None else max(us_from_datetime(row[0]), EARLIEST_US)
    return tuple(KnownTier(tier, columns[tier.table]) for tier in TIERS if tier.table in columns), floor


async def fetch_devices(
    connection: Connection, device_ids: Sequence[str], tiers: tuple[KnownTier, ...], floor: int, now: int
) -> dict[str, Sources]:
    """The sources of each device. Readings ahead of `now` (µs) say nothing about its period."""
    text = _device_statement(tuple(known.tier for known in tiers))
    rows = await fetch_each(connection, device_ids, text, {"now": moment(min(now, LATEST_US))})
    return {
        device_id: _sources(tiers, floor, newest.tolist(), oldest)
        for device_id, (newest, *oldest) in zip(device_ids, rows, strict=True)
    }


def _sources(tiers: tuple[KnownTier, ...], floor: int, newest: list[int], oldest: Sequence[Any]) -> Sources:
    starts = {known.tier.table: microseconds(start) for known, start in zip(tiers, oldest, strict=True)}
    period = period_s(newest)
    return Sources(tiers, floor, starts, period, reach_of_period_s(period))


_TABLES = (
    "SELECT name, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = relation AND attnum > 0"
    " AND NOT attisdropped) FROM unnest(%(names)s::text[]) AS name,"
    " LATERAL to_regclass(format('%%I.%%I', %(schema)s::text, name)) AS relation"
    " WHERE relation IS NOT NULL AND has_table_privilege(relation, 'SELECT')"
)


@lru_cache(maxsize=1)
def _floor_statement() -> bytes:
    return SQL("SELECT nullif({}, '-infinity')").format(floor_of(CATALOGUE)).as_bytes()


@lru_cache(maxsize=16)
def _device_statement(tiers: tuple[Tier, ...]) -> bytes:
    """The times of the newest readings, newest first, then the start of the oldest row of each tier."""
    newest = newest_rows([TIME_US], where=" AND {time} <= %(now)s", limit=READINGS_FOR_PERIOD)
    columns = [SQL("ARRAY({})").format(newest)]
    columns += [
        SQL("(SELECT {bucket} FROM {table} WHERE {device} = %(device)s ORDER BY {bucket} LIMIT 1)").format(
            bucket=Identifier(BUCKET), table=Identifier(CATALOGUE.schema, tier.table), device=Identifier(DEVICE)
        )
        for tier in tiers
    ]
    return SQL("SELECT {}").format(SQL(", ").join(columns)).as_bytes()
