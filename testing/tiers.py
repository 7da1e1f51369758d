"""Rollup tiers in tests: what the edition of the server allows, and what the tiers must hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from core.catalogue import CATALOGUE
from telemetry.catalogue import Catalogue
from telemetry.ddl import regclass, table_of
from telemetry.tiers import BUCKET, DEVICE, Tier, columns_of, tier_table, tiers_of

Connection = psycopg.Connection[tuple[Any, ...]]
TIERS = tiers_of(CATALOGUE)


def is_timescale(connection: Connection) -> bool:
    """Whether the server has continuous aggregates: TimescaleDB's Timescale edition."""
    row = connection.execute("SELECT current_setting('timescaledb.license')").fetchone()
    return row == ("timescale",)


def tiers_settle(connection: Connection, low: datetime, high: datetime) -> None:
    """What came late into a continuous aggregate counts from the next refresh on: refresh. Triggers are never late."""
    if not is_timescale(connection):
        return
    for tier in TIERS:
        first = low.timestamp() // tier.seconds * tier.seconds
        last = min(high.timestamp() // tier.seconds * tier.seconds + tier.seconds, _floor_now(tier))
        if last > first:
            bounds = (sql.Literal(datetime.fromtimestamp(second, UTC).isoformat()) for second in (first, last))
            call = sql.SQL("CALL refresh_continuous_aggregate({}, {}::timestamptz, {}::timestamptz)")
            connection.execute(call.format(regclass(CATALOGUE, tier.table), *bounds))


def assert_tiers_hold_what_raw_holds(
    connection: Connection, devices: Sequence[str], catalogue: Catalogue = CATALOGUE
) -> None:
    """Every tier, made again from the raw rows by one plain GROUP BY, is what is stored."""
    columns = columns_of(catalogue)
    for tier in tiers_of(catalogue):
        made = sql.SQL(
            "SELECT {device}, date_bin({length}::interval, {time}, '1970-01-01Z'::timestamptz), {columns} FROM {table}"
            " WHERE {device} = ANY (%s) GROUP BY 1, 2"
        ).format(
            device=sql.Identifier(catalogue.device),
            time=sql.Identifier(catalogue.time),
            length=sql.Literal(tier.interval),
            columns=sql.SQL(", ").join(column.raw for column in columns),
            table=table_of(catalogue),
        )
        stored = sql.SQL("SELECT {d}, {b}, {columns} FROM {tier} WHERE {d} = ANY (%s)").format(
            d=sql.Identifier(DEVICE),
            b=sql.Identifier(BUCKET),
            columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
            tier=tier_table(catalogue, tier),
        )
        expected = {row[:2]: row[2:] for row in connection.execute(made, [list(devices)])}
        found = {row[:2]: row[2:] for row in connection.execute(stored, [list(devices)])}
        assert found.keys() == expected.keys(), tier.table
        for key, values in expected.items():
            for column, value, other in zip(columns, values, found[key], strict=True):
                assert _is_same(value, other), (tier.table, key, column.name, value, other)


def _is_same(expected: object, found: object) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-6)
    return expected == found


def _floor_now(tier: Tier) -> float:
    return datetime.now(UTC).timestamp() // tier.seconds * tier.seconds
