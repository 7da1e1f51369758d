"""Tiers keep the values of dropped readings; no bucket is rebuilt from the remaining part."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.sql import SQL

from rollup.retention import retention_statements
from telemetry.catalogue import Catalogue
from telemetry.ddl import regclass
from telemetry.floor import chunks_table
from telemetry.tiers import rollup_tiers
from tests.rollup.table import Rows, Table, assert_right, engine_of, schema_apply, table_drop, watched_connect

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
# statements of a round: check the chunks, plan, lock the shard, lock the table, take
AFTER_TAKE = 6


def kept_rows(table: Table) -> dict[str, Rows]:
    return {tier.name: table.rows(tier.name) for tier in rollup_tiers(table.catalogue)}


def drop_chunks(table: Table, before: datetime) -> None:
    name = regclass(table.catalogue, table.catalogue.table)
    table.connection.execute(SQL("SELECT drop_chunks({}, {}::timestamptz)").format(name, before))


def filled(table: Table) -> dict[str, Rows]:
    """Fill three days, one chunk each, and roll up."""
    table.fill("2026-03-01T00:00:00Z", seconds=3 * 86_400, step=600)
    table.roll_up()
    return kept_rows(table)


def test_dropped_readings_stay_in_the_tiers(table: Table) -> None:
    kept = filled(table)
    drop_chunks(table, DAY + ONE_DAY)
    engine = table.roll_up()
    assert table.floor() == DAY + ONE_DAY
    assert engine.progress.below_floor == 0
    assert kept_rows(table) == kept


def test_a_late_reading_below_the_floor_is_stored_and_changes_no_tier(table: Table) -> None:
    kept = filled(table)
    drop_chunks(table, DAY + ONE_DAY)
    for rolls_up_between in (True, False):
        if rolls_up_between:
            table.roll_up()
        table.insert([("m0", DAY + timedelta(hours=rolls_up_between + 1), (1e6, 1e6))])
        engine = table.roll_up()
        assert engine.progress.below_floor == 1
        assert kept_rows(table) == kept
        assert table.log() == []
    table.insert([("m0", datetime(1970, 1, 1, tzinfo=UTC), (1.0, 1.0))])
    table.roll_up()
    assert table.floor() == DAY + ONE_DAY
    assert kept_rows(table) == kept


def test_the_floor_is_raised_after_a_restart(table: Table) -> None:
    """Chunks vanish while no rollup runs. The next rollup raises the floor first."""
    kept = filled(table)
    drop_chunks(table, DAY + 2 * ONE_DAY)
    table.insert([("m0", DAY + timedelta(hours=30), (5.0, 5.0)), ("m0", DAY + timedelta(hours=50), (5.0, 5.0))])
    schema_apply(table.connection, table.catalogue)
    table.roll_up()
    assert table.floor() == DAY + 2 * ONE_DAY
    assert_right(table.url, table.catalogue, kept=kept)


def test_dropping_more_raises_the_floor_and_dropping_a_late_chunk_does_not_lower_it(table: Table) -> None:
    filled(table)
    drop_chunks(table, DAY + 2 * ONE_DAY)
    table.roll_up()
    table.insert([("m0", DAY + timedelta(hours=1), (5.0, 5.0))])
    table.roll_up()
    drop_chunks(table, DAY + ONE_DAY)
    table.roll_up()
    assert table.floor() == DAY + 2 * ONE_DAY


def test_a_half_dropped_day_is_rebuilt_from_its_tiers(owner_url: str, catalogue: Catalogue) -> None:
    """Chunks of six hours: a late reading in the evening counts in the day, whose morning is dropped."""
    half = replace(catalogue, chunk_interval="6 hours")
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        schema_apply(connection, half)
        try:
            table = Table(owner_url, half, connection)
            table.fill("2026-03-01T00:00:00Z", seconds=86_400, step=600)
            table.roll_up()
            before = table.rows("1d")["m0", DAY]
            drop_chunks(table, DAY + timedelta(hours=12))
            table.insert([("m0", DAY + timedelta(hours=18, seconds=1), (1.0, None))])
            table.roll_up()
            after = table.rows("1d")["m0", DAY]
            assert table.floor() == DAY + timedelta(hours=12)
            assert int(str(after[0])) == int(str(before[0])) + 1
            assert after[1] == before[1]
        finally:
            table_drop(connection, half)


def test_dropping_the_current_chunk_raises_the_floor_only_to_now(table: Table) -> None:
    """The current chunk ends in the future; the floor does not."""
    (now,) = table.connection.execute("SELECT now()").fetchone() or (None,)
    table.insert([("m0", now - timedelta(minutes=40), (1.0, 1.0))])
    table.roll_up()
    drop_chunks(table, now + 2 * ONE_DAY)
    table.roll_up()
    floor = table.floor()
    assert floor is not None
    assert now - timedelta(minutes=15) < floor <= now + timedelta(minutes=15)


def test_a_chunk_that_vanishes_during_a_slice_is_noticed(table: Table) -> None:
    """The slice is rolled back: its snapshot still contains the log row but no longer the readings."""
    kept = filled(table)
    table.insert([("m0", DAY + timedelta(hours=1, seconds=5), (1.0, 1.0))])

    def drop(number: int) -> None:
        if number == AFTER_TAKE:
            drop_chunks(table, DAY + ONE_DAY)

    async def work() -> None:
        engine = engine_of(table.catalogue)
        connection = await watched_connect(table, drop)
        await engine.configure(connection)
        connection.number = 0
        assert await engine.round(connection)
        assert engine.progress.slices == 0
        assert not await engine.round(connection)
        assert engine.progress.below_floor == 1
        await connection.close()

    asyncio.run(work())
    assert kept_rows(table) == kept


def test_the_known_chunks_are_the_existing_ones(table: Table) -> None:
    filled(table)
    query = SQL("SELECT first FROM {} ORDER BY 1").format(chunks_table(table.catalogue))
    assert [row[0] for row in table.connection.execute(query)] == [DAY, DAY + ONE_DAY, DAY + 2 * ONE_DAY]


def test_tier_rows_are_deleted_only_below_the_floor(table: Table) -> None:
    short = replace(table.catalogue, keep={"raw": "3 days", "30s": "3 days", "1m": "3 days"})
    filled(table)
    with psycopg.connect(table.url, autocommit=True, connect_timeout=5) as connection:
        for days_left in (3, 1):
            for statement in retention_statements(short):
                connection.execute(statement)
            assert len({bucket.date() for _, bucket in table.rows("1m")}) == days_left
            assert len({bucket.date() for _, bucket in table.rows("1h")}) == 3
            drop_chunks(table, DAY + 2 * ONE_DAY)
            table.roll_up()
