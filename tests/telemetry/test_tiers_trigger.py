"""Tiers kept by triggers are what a plain GROUP BY of the raw rows would give, whatever happens to those."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from telemetry.tiers import tier_table, tiers_of
from testing.tiers import assert_tiers_hold_what_raw_holds
from testing.waiting import wait_until
from tests.telemetry.conftest import Table, fill

pytestmark = pytest.mark.usefixtures("triggers_only")
METERS = ["m0", "m1", "m2"]
INSERT = 'INSERT INTO {} ("At", meter, devices, level) VALUES (%s, %s, %s, %s)'


def assert_right(table: Table) -> None:
    assert_tiers_hold_what_raw_holds(table.connection, METERS, table.catalogue)


def rows(table: Table, tier: int) -> list[tuple[object, ...]]:
    query = sql.SQL(
        "SELECT count, newest::text, flow_count, flow_sum, flow_min, flow_max, flow_pos, flow_neg, level_count,"
        " level_sum FROM {} ORDER BY device_id, bucket"
    ).format(tier_table(table.catalogue, tiers_of(table.catalogue)[tier]))
    return list(table.connection.execute(query))


def test_the_columns_say_what_they_say(table: Table) -> None:
    for at, flow, level in [("00:00:01", 5.0, None), ("00:00:59.999999", -2.0, None), ("00:00:30", None, None)]:
        table.run(INSERT, [f"2026-03-01T{at}Z", "m0", flow, level])
    newest = "2026-03-01 00:00:59.999999+00"
    for tier in range(4):
        assert rows(table, tier) == [(3, newest, 2, 3.0, -2.0, 5.0, 5.0, -2.0, 0, None)]
    assert_right(table)


def test_late_and_out_of_order_rows_and_duplicates(table: Table) -> None:
    moments = [f"2026-03-{1 + n // 24:02}T{n % 24:02}:{n % 60:02}:00Z" for n in range(0, 72, 5)]
    random.Random(3).shuffle(moments)
    for number, moment in enumerate(moments * 2):
        table.run(INSERT + " ON CONFLICT DO NOTHING", [moment, "m0", float(number), None])
    fill(table, "2026-03-01T00:00:00Z", seconds=86_400, step=1_000)
    fill(table, "2026-02-27T00:00:00Z", seconds=3 * 86_400, step=500)
    assert_right(table)


def test_of_a_statement_with_duplicates_only_what_is_inserted_counts(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=3_600, step=60)
    fill(table, "2026-03-01T00:30:00Z", seconds=3_600, step=60)
    assert sum(int(str(row[0])) for row in rows(table, 3)) == 2 * 90
    assert_right(table)


def test_copy_across_chunks(table: Table) -> None:
    with table.connection.cursor() as cursor:
        statement = sql.SQL('COPY {} ("At", meter, devices) FROM STDIN').format(table.name)
        with cursor.copy(statement) as copy:
            for number in range(5_000):
                copy.write_row(
                    (f"2026-03-{1 + number % 9:02}T00:{number // 9 % 60:02}:{number // 540:02}Z", "m0", number)
                )
    assert_right(table)


def test_updates_deletes_and_truncate(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=2 * 86_400, step=613)
    table.run("UPDATE {} SET devices = devices * 1e12 WHERE meter = 'm0' AND level = 3")
    table.run("UPDATE {} SET devices = NULL WHERE meter = 'm0' AND level = 3")  # and nothing of the 1e12 is left
    table.run('UPDATE {} SET "At" = "At" + interval \'20 minutes\' WHERE level = 5 AND "At"::time < \'23:00\'')
    assert_right(table)
    table.run("UPDATE {} SET meter = 'm2' WHERE level = 7 AND meter = 'm0'")
    table.run("DELETE FROM {} WHERE level > 8")
    table.run("DELETE FROM {} WHERE \"At\" < '2026-03-01T02:00:00Z'")
    assert_right(table)
    table.run("DELETE FROM {}")
    assert rows(table, 0) == rows(table, 3) == []
    fill(table, "2026-03-01T00:00:00Z", seconds=3_600, step=60)
    table.run("TRUNCATE {}")
    assert rows(table, 0) == rows(table, 3) == []


def test_an_upsert_counts_its_rows_once(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=3_600, step=60)
    upsert = INSERT + ' ON CONFLICT (meter, "At") DO UPDATE SET devices = excluded.devices, level = excluded.level'
    several = upsert.replace("(%s, %s, %s, %s)", "(%s, %s, %s, %s), (%s, %s, %s, %s)")
    table.run(several, ["2026-03-01T00:10:00Z", "m0", 1.0, 1.0, "2026-03-01T00:10:01Z", "m0", 2.0, 2.0])
    assert_right(table)
    with table.connection.transaction():
        table.run("UPDATE {} SET level = 0 WHERE level = 1")
        table.run(INSERT, ["2026-03-01T00:10:02Z", "m0", 3.0, 3.0])
    table.run(INSERT, ["2026-03-01T00:10:03Z", "m0", 3.0, 3.0])
    assert_right(table)


def test_what_is_rolled_back_leaves_nothing(table: Table) -> None:
    with table.connection.transaction(force_rollback=True):
        fill(table, "2026-03-01T00:00:00Z", seconds=3_600, step=60)
        table.run("DELETE FROM {} WHERE level = 1")
    assert rows(table, 0) == []


def test_dropped_chunks_stay_in_the_tiers(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=3 * 86_400, step=3_600)
    before = rows(table, 3)
    table.connection.execute("SELECT drop_chunks(%s, '2026-03-03'::timestamptz)", [table.catalogue.table])
    assert rows(table, 3) == before
    # A late reading of an aged-out day is added to what is there.
    table.run(INSERT, ["2026-03-01T12:00:01Z", "m0", 1.0, None])
    assert [row[0] for row in rows(table, 3)] == [25, 24, 24, 24, 24, 24]


def test_concurrent_writers_lose_nothing_and_do_not_deadlock(table: Table) -> None:
    """Batches over the same buckets in different orders, with updates and deletes among them."""
    start = threading.Barrier(6)

    def write(seed: int) -> None:
        chance = random.Random(seed)
        with table.stack.admin() as connection:
            table_of_its_own = Table(table.stack, table.path, table.catalogue, connection)
            start.wait(timeout=20)
            for _ in range(40):
                at = chance.randrange(0, 7_200)
                if chance.random() < 0.7:
                    # A few new seconds and some that others have written, of all meters at once.
                    fill(table_of_its_own, f"2026-03-01T00:00:{seed:02}Z", seconds=at + 1, step=7 + seed, meters=3)
                elif chance.random() < 0.5:
                    table_of_its_own.run(
                        "UPDATE {} SET devices = %s WHERE meter = %s AND \"At\" = '2026-03-01'::timestamptz"
                        " + %s * interval '1 s'",
                        [float(at), chance.choice(METERS), at],
                    )
                else:
                    table_of_its_own.run(
                        "DELETE FROM {} WHERE meter = %s AND \"At\" = '2026-03-01'::timestamptz + %s * interval '1 s'",
                        [chance.choice(METERS), at],
                    )

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(write, seed) for seed in range(6)]:
            done.result(timeout=120)
    assert_right(table)


def test_a_writer_waits_for_another_of_the_same_bucket_and_adds_to_it(table: Table) -> None:
    table.run(INSERT, ["2026-03-01T00:00:01Z", "m0", 1.0, None])
    with table.stack.admin() as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute(sql.SQL("DELETE FROM {}").format(table.name))
            waiting = pool.submit(table.run, INSERT, ["2026-03-01T00:00:02Z", "m0", 2.0, None])
            _wait_for_lock(table)
            assert not waiting.done()
        waiting.result(timeout=20)
    assert [row[0] for row in rows(table, 0)] == [1]
    assert_right(table)


def test_writing_fails_loudly_where_the_tiers_were_taken_away_but_not_the_triggers(table: Table) -> None:
    table.connection.execute(sql.SQL("DROP TABLE {}").format(tier_table(table.catalogue, tiers_of(table.catalogue)[1])))
    with pytest.raises(psycopg.errors.UndefinedTable):
        table.run(INSERT, ["2026-03-01T00:00:01Z", "m0", 1.0, None])
    table.manage("telemetry_schema", "--apply")
    table.run(INSERT, ["2026-03-01T00:00:01Z", "m0", 1.0, None])
    assert_right(table)


def _wait_for_lock(table: Table) -> None:
    def is_waiting() -> bool:
        with table.stack.admin() as watching:
            row = watching.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
        return row is not None and bool(row[0])

    wait_until(is_waiting, "the second writer waits")
