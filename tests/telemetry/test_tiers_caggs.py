"""Tiers as continuous aggregates: the same names, columns and numbers, always current, and late readings end up right.

Runs where the server has TimescaleDB's Timescale edition: give TELEMETRY_URL, TELEMETRY_ADMIN_URL and REDIS_URL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from telemetry.ddl import regclass
from telemetry.tiers import tiers_of
from testing.tiers import assert_tiers_hold_what_raw_holds
from tests.telemetry.conftest import Table, fill

pytestmark = pytest.mark.usefixtures("caggs_only")
METERS = ["m0", "m1"]


def refresh(table: Table, low: str, high: str) -> None:
    for tier in tiers_of(table.catalogue):
        call = sql.SQL("CALL refresh_continuous_aggregate({}, {}::timestamptz, {}::timestamptz)")
        table.connection.execute(
            call.format(regclass(table.catalogue, tier.table), sql.Literal(low), sql.Literal(high))
        )


def assert_right(table: Table) -> None:
    assert_tiers_hold_what_raw_holds(table.connection, METERS, table.catalogue)


def test_each_is_real_time_and_made_of_the_one_before_it(table: Table) -> None:
    found = table.connection.execute(
        "SELECT view_name, materialized_only FROM timescaledb_information.continuous_aggregates"
        " WHERE view_name LIKE %s",
        [table.catalogue.table + "%"],
    ).fetchall()
    assert sorted(found) == sorted((tier.table, False) for tier in tiers_of(table.catalogue))


def test_each_has_its_policies_once(table: Table) -> None:
    table.manage("telemetry_schema", "--apply")
    found = table.connection.execute(
        "SELECT view_name, proc_name FROM timescaledb_information.jobs AS job"
        " JOIN timescaledb_information.continuous_aggregates AS cagg"
        " ON (job.hypertable_schema, job.hypertable_name)"
        " IN ((cagg.materialization_hypertable_schema, cagg.materialization_hypertable_name), (view_schema, view_name))"
        " WHERE view_name LIKE %s AND proc_name = 'policy_refresh_continuous_aggregate'",
        [table.catalogue.table + "%"],
    ).fetchall()
    assert sorted(name for name, _ in found) == sorted(tier.table for tier in tiers_of(table.catalogue))


def test_the_numbers_before_and_after_materializing(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=3 * 86_400, step=97)
    refresh(table, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    refresh(table, "2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z")
    assert_right(table)


def test_the_bucket_in_progress_is_current(table: Table) -> None:
    begin = datetime.now(UTC) - timedelta(hours=2)
    fill(table, begin.isoformat(), seconds=7_200, step=30)
    table.manage("telemetry_backfill", "--since", begin.isoformat())
    assert_right(table)
    table.run("INSERT INTO {} (\"At\", meter, devices, level) VALUES (%s, 'm0', 1, 1)", [datetime.now(UTC).isoformat()])
    assert_right(table)


def test_late_updated_and_deleted_rows_end_up_right(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=3 * 86_400, step=97)
    refresh(table, "2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z")
    fill(table, "2026-03-01T00:00:05Z", seconds=86_400, step=500)
    table.run("UPDATE {} SET devices = 7 WHERE level = 3")
    table.run("DELETE FROM {} WHERE level = 5")
    refresh(table, "2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z")
    assert_right(table)


def test_dropped_chunks_stay_in_the_tiers(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=3 * 86_400, step=3_600)
    refresh(table, "2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z")
    table.connection.execute("SELECT drop_chunks(%s, '2026-03-03'::timestamptz)", [table.catalogue.table])
    query = sql.SQL("SELECT count FROM {} ORDER BY bucket, device_id").format(
        sql.Identifier(table.catalogue.schema, tiers_of(table.catalogue)[3].table)
    )
    assert [count for (count,) in table.connection.execute(query)] == [24] * 6
