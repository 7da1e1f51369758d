"""One step of the rollup on the energy tiers of one device, under control of the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from rollup.energy import energy_statements
from telemetry.catalogue import Catalogue
from telemetry.changes import changes_table

Connection = psycopg.Connection[Any]
Logged = tuple[Any, ...]
Choice = Callable[[Sequence[Logged]], Sequence[Logged]]


def energy_roll_up(connection: Connection, catalogue: Catalogue, device_id: str, choose: Choice = list) -> None:
    """Rebuild the buckets of the change log rows that `choose` returns, and delete those rows, in one transaction.

    Takes the lock of the device's shard as the rollup does, since the run's writer has a rollup inside.
    """
    log = changes_table(catalogue)
    query = sql.SQL("SELECT tableoid::bigint FROM {} WHERE device_id = %s LIMIT 1").format(log)
    shard = connection.execute(query, [device_id]).fetchone()
    if shard is None:
        return
    connection.execute("SELECT pg_advisory_lock(%s::bigint)", shard)
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            _rebuild(connection, catalogue, device_id, choose)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s::bigint)", shard)


def _rebuild(connection: Connection, catalogue: Catalogue, device_id: str, choose: Choice) -> None:
    log = changes_table(catalogue)
    found = connection.execute(
        sql.SQL("SELECT ctid, first, last, tableoid FROM {} WHERE device_id = %s ORDER BY first, last").format(log),
        [device_id],
    ).fetchall()
    chosen = choose(found)
    if not chosen:
        return
    for row in chosen:
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE tableoid = %s AND ctid = %s::tid").format(log), [row[3], str(row[0])]
        )
    connection.execute("CREATE TEMP TABLE touched (device_id text, bucket timestamptz) ON COMMIT DROP")
    connection.execute(
        "INSERT INTO touched SELECT DISTINCT %s, bucket FROM unnest(%s::timestamptz[], %s::timestamptz[])"
        " AS span(first, last), generate_series(time_bucket('15 minutes', first), last, '15 minutes') AS bucket",
        [device_id, [row[1] for row in chosen], [row[2] for row in chosen]],
    )
    for statement in energy_statements(catalogue, sql.Identifier("touched")):
        connection.execute(statement)
