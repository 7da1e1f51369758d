"""The tiers match the readings in plain Python after any change, and wherever a rollup is interrupted."""

from __future__ import annotations

import asyncio
import math
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL

from rollup.engine import Engine
from telemetry.ddl import table_of
from tests.rollup.table import Table, assert_right, engine_of, roll_up, rounds, watched_connect

DAY = datetime(2026, 3, 1, tzinfo=UTC)
METERS = ("m0", "m1", "m2")


def at(seconds: float) -> datetime:
    return DAY + timedelta(microseconds=round(seconds * 1e6))


def test_a_row_matches_the_definition_of_its_columns(table: Table) -> None:
    table.insert([("m0", at(0.000001), (5.0, None)), ("m0", at(29.999999), (-2.0, None)), ("m0", at(10), (None, None))])
    table.roll_up()
    row = (3, at(29.999999), 3.0, None, 2, 0, -2.0, None, 5.0, None)
    for tier in ("30s", "1m", "5m", "15m", "1h", "1d"):
        assert table.rows(tier) == {("m0", DAY): row}
    assert table.log() == []


def test_values_that_are_not_finite_count_as_null(table: Table) -> None:
    values = (1.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 2.0)
    table.insert([("m0", at(number), (value, value)) for number, value in enumerate(values)])
    table.roll_up()
    assert table.rows("1d")["m0", DAY][2:] == (3.0, 3.0, 2, 2, 1.0, 1.0, 2.0, 2.0)
    assert_right(table.url, table.catalogue)


def test_a_bucket_without_readings_has_no_row(table: Table) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=3_600, step=60)
    table.roll_up()
    table.run("DELETE FROM {} WHERE meter = 'm0'")
    table.roll_up()
    assert {meter for meter, _ in table.rows("1d")} == {"m1"}
    assert_right(table.url, table.catalogue)


def test_the_log_names_device_and_span_per_day(table: Table) -> None:
    table.insert(
        [("m0", at(-1), (1.0, 1.0)), ("m0", at(5), (1.0, 1.0)), ("m0", at(7), (1.0, 1.0)), ("m1", at(6), (1.0, 1.0))]
    )
    assert table.log() == [("m0", at(-1), at(-1), 0), ("m0", at(5), at(7), 0), ("m1", at(6), at(6), 0)]
    table.run("INSERT INTO {} (\"At\", meter) VALUES (%s, 'm0') ON CONFLICT DO NOTHING", [at(5)])
    assert len(table.log()) == 3
    table.run("UPDATE {} SET meter = 'm9' WHERE meter = 'm1'")
    assert table.log()[3:] == [("m1", at(6), at(6), 0), ("m9", at(6), at(6), 0)]
    table.run("DELETE FROM {} WHERE meter = 'm9'")
    assert len(table.log()) == 6


def test_a_change_that_was_rolled_back_is_not_logged(table: Table) -> None:
    with table.connection.transaction(force_rollback=True):
        table.insert([("m0", at(0), (1.0, 1.0))])
        assert len(table.log()) == 1
    assert table.log() == []


def test_truncate_empties_tiers_log_and_floor(table: Table) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=3_600, step=60)
    table.roll_up()
    table.run("TRUNCATE {}")
    assert table.log() == []
    assert all(table.rows(tier) == {} for tier in ("30s", "1m", "5m", "15m", "1h", "1d"))
    table.fill("2026-03-01T00:30:00Z", seconds=3_600, step=60)
    table.roll_up()
    assert table.floor() is None
    assert_right(table.url, table.catalogue)


def test_open_minutes_and_quarters_of_an_hour_are_not_rolled_up(table: Table) -> None:
    """The test uses the clock of the server: the assertions hold at any minute."""
    (now,) = table.connection.execute("SELECT now()").fetchone() or (None,)
    minute = now.replace(second=0, microsecond=0)
    quarter = minute - timedelta(minutes=minute.minute % 15)
    table.insert(
        [("m0", minute + timedelta(minutes=5), (1.0, 1.0)), ("m1", quarter - timedelta(seconds=1), (1.0, 1.0))]
    )
    table.insert([("m2", minute - timedelta(seconds=1), (1.0, 1.0))])
    table.roll_up()
    log = table.log()
    assert ("m0", minute + timedelta(minutes=5), minute + timedelta(minutes=5), 0) in log
    assert not [row for row in log if row[0] == "m1"]
    if minute != quarter:
        assert [row[3] for row in log if row[0] == "m2"] == [1]
    assert {meter for meter, _ in table.rows("30s")} == {"m1", "m2"}
    assert_right(table.url, table.catalogue)


# Shrinking with a database takes minutes, and a failure has few changes anyway.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
VALUE = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, 0.0]))
MOMENT = st.one_of(
    st.integers(0, 4_000).map(float), st.floats(0, 200_000), st.sampled_from([0.0, 29.999999, 30.0, 86_399.999999])
)
READINGS = st.lists(st.tuples(st.sampled_from(METERS), MOMENT, st.tuples(VALUE, VALUE)), min_size=1, max_size=30)
CHANGE = st.one_of(
    st.tuples(st.just("insert"), READINGS),
    st.tuples(
        st.just("correct"), st.tuples(st.sampled_from(METERS), st.floats(0, 200_000), st.floats(1, 90_000), VALUE)
    ),
    st.tuples(st.just("delete"), st.tuples(st.sampled_from(METERS), st.floats(0, 200_000), st.floats(1, 90_000))),
    st.tuples(st.just("move"), st.tuples(st.sampled_from(METERS), st.floats(0, 90_000))),
    st.tuples(st.just("truncate"), st.none()),
    st.tuples(st.just("roll up"), st.none()),
    st.tuples(st.just("kill"), st.integers(1, 40)),
)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], phases=PHASES
)
@given(changes=st.lists(CHANGE, min_size=1, max_size=8))
def test_untouched_buckets_are_correct_after_any_change(table: Table, changes: list[tuple[str, Any]]) -> None:
    table.run("TRUNCATE {}")
    for kind, what in [*changes, ("roll up", None)]:
        change(table, kind, what)
        assert_right(table.url, table.catalogue)
    assert table.log() == []


def change(table: Table, kind: str, what: Any) -> None:
    if kind == "insert":
        unique = {(meter, at(second)): values for meter, second, values in what}
        table.insert([(meter, moment, values) for (meter, moment), values in unique.items()])
    elif kind == "correct":
        meter, low, length, value = what
        query = 'UPDATE {} SET devices = %s WHERE meter = %s AND "At" BETWEEN %s AND %s'
        table.run(query, [value, meter, at(low), at(low + length)])
    elif kind == "delete":
        meter, low, length = what
        table.run('DELETE FROM {} WHERE meter = %s AND "At" BETWEEN %s AND %s', [meter, at(low), at(low + length)])
    elif kind == "move":
        meter, low = what
        table.run("DELETE FROM {} WHERE meter = 'm9'")
        table.run("UPDATE {} SET meter = 'm9' WHERE meter = %s AND \"At\" >= %s", [meter, at(low)])
    elif kind == "truncate":
        table.run("TRUNCATE {}")
    elif kind == "roll up":
        table.roll_up()
    else:
        roll_up_killed(table, what)


def roll_up_killed(table: Table, fatal: int) -> bool:
    """Terminate the session of a rollup before that statement. Return whether the rollup reached it."""

    async def work() -> bool:
        def kill(number: int) -> None:
            if number == fatal:
                with psycopg.connect(table.url, autocommit=True, connect_timeout=5) as owner:
                    owner.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])

        engine = engine_of(table.catalogue)
        connection = await watched_connect(table, kill)
        try:
            await engine.configure(connection)
            await rounds(engine, connection)
        except psycopg.OperationalError:
            return True
        return False

    return asyncio.run(work())


def test_a_rollup_may_be_killed_before_any_statement(table: Table) -> None:
    """Readings change between the kills. Another rollup then needs only the log."""
    fatal = 0
    table.fill("2026-03-01T00:00:00Z", seconds=90_000, step=301)
    while True:
        fatal += 1
        table.run("DELETE FROM {} WHERE meter = 'm0' AND \"At\" BETWEEN %s AND %s", [at(fatal * 90), at(fatal * 91)])
        table.insert([("m0", at(fatal * 97), (1.0, 2.0)), ("m1", at(80_000 + fatal), (None, 2.0))])
        was_killed = roll_up_killed(table, fatal)
        assert_right(table.url, table.catalogue)
        if not was_killed:
            break
    assert fatal > 30
    assert table.log() == []
    with psycopg.connect(table.url, connect_timeout=5) as connection:
        query = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert connection.execute(query).fetchone() == (0,)


def test_two_rollups_and_concurrent_writers(table: Table) -> None:
    """At every moment the buckets that the log does not touch are correct; at the end every bucket is."""
    seconds = 40_000

    def write(seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(table.url, autocommit=True, connect_timeout=5) as connection:
            own = Table(table.url, table.catalogue, connection)
            for number in range(150):
                low = chance.randrange(seconds)
                if chance.random() < 0.6:
                    meter = chance.choice(METERS)
                    own.insert([(meter, at(low + n * 7), (float(number), chance.random())) for n in range(50)])
                else:
                    query = 'DELETE FROM {} WHERE meter = %s AND "At" BETWEEN %s AND %s'
                    own.run(query, [chance.choice(METERS), at(low), at(low + chance.randrange(4_000))])

    with ThreadPoolExecutor(5) as pool:
        writers = [pool.submit(write, seed) for seed in range(3)]
        compared = 0
        while not all(writer.done() for writer in writers):
            rollups = [pool.submit(roll_up, table.url, table.catalogue) for _ in range(2)]
            compared += assert_right(table.url, table.catalogue)
            for rollup in rollups:
                rollup.result(timeout=300)
        for writer in writers:
            writer.result(timeout=300)
    table.roll_up()
    assert table.log() == []
    assert assert_right(table.url, table.catalogue) > 100
    assert compared > 0


def test_a_change_that_commits_while_its_bucket_is_rebuilt_stays_logged(table: Table) -> None:
    table.insert([("m0", at(0), (1.0, 1.0))])
    with psycopg.connect(table.url, connect_timeout=5) as other:
        other.execute(SQL("INSERT INTO {} VALUES (%s, 'm0', 2, 2)").format(table_of(table.catalogue)), [at(1)])
        table.roll_up()
        assert_right(table.url, table.catalogue)
        other.commit()
    assert [row[0] for row in table.log()] == ["m0"]
    assert_right(table.url, table.catalogue)
    table.roll_up()
    assert table.rows("1d")["m0", DAY][0] == 2


def test_progress_counts_readings_and_the_lag(table: Table) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=2 * 86_400, step=600)
    engine: Engine = table.roll_up()
    assert engine.progress.readings == 2 * 288
    assert engine.progress.days == 4
    assert engine.progress.lag_s is not None
    assert engine.progress.lag_s < 300
