"""Tiers that come after the readings: not used until they are filled, and right when they are."""

from __future__ import annotations

import threading

import psycopg
import pytest

from telemetry.catalogue import catalogue_load
from testing.stack import Stack
from testing.tiers import assert_tiers_hold_what_raw_holds, is_timescale
from tests.telemetry.conftest import Table, fill

METERS = ["m0", "m1"]


def assert_right(table: Table) -> None:
    assert_tiers_hold_what_raw_holds(table.connection, METERS, table.catalogue)


def test_tiers_of_an_empty_table_are_complete_at_once(table: Table) -> None:
    assert table.complete_since() == {"-infinity"}
    assert "0 days" in table.manage("telemetry_backfill")


def test_tiers_of_a_table_with_rows_are_complete_after_the_backfill(bare_table: Table) -> None:
    for _ in range(2):
        bare_table.manage("telemetry_schema", "--apply")
        assert bare_table.complete_since() == {"infinity"}
    progress = bare_table.manage("telemetry_backfill").splitlines()
    assert progress[:3] == ["2026-03-03  1 of 3 days", "2026-03-02  2 of 3 days", "2026-03-01  3 of 3 days"]
    assert bare_table.complete_since() == {"-infinity"}
    assert_right(bare_table)
    assert "0 days" in bare_table.manage("telemetry_backfill")
    bare_table.manage("telemetry_schema", "--apply")
    assert bare_table.complete_since() == {"-infinity"}


def test_a_part_is_used_and_the_rest_is_filled_later(bare_table: Table) -> None:
    bare_table.manage("telemetry_schema", "--apply")
    bare_table.manage("telemetry_backfill", "--since", "2026-03-02T12:00:00Z")
    assert bare_table.complete_since() == {"2026-03-02 00:00:00+00"}
    assert "1 of 1 days" in bare_table.manage("telemetry_backfill")
    assert_right(bare_table)


def test_backfill_while_writers_write(bare_table: Table) -> None:
    """New rows, late rows and deletes in the very days that are being filled, over and over until it is done."""
    bare_table.manage("telemetry_schema", "--apply")
    done = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        try:
            with bare_table.stack.admin() as connection:
                table = Table(bare_table.stack, bare_table.path, bare_table.catalogue, connection)
                number = 0
                while not done.is_set():
                    number += 1
                    fill(table, f"2026-03-01T00:00:{number % 60:02}Z", seconds=3 * 86_400, step=86_400 // 20 + number)
                    table.run("DELETE FROM {} WHERE level = %s AND \"At\"::time < '01:00'", [float(number % 11)])
        except psycopg.Error as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        bare_table.manage("telemetry_backfill")
        bare_table.manage("telemetry_backfill", "--since", "2026-03-01T00:00:00Z")
    finally:
        done.set()
        writer.join(timeout=60)
    assert failed == []
    if is_timescale(bare_table.connection):
        bare_table.manage("telemetry_backfill", "--since", "2026-03-01T00:00:00Z")
    assert_right(bare_table)


@pytest.mark.usefixtures("triggers_only")
def test_since_makes_again_what_went_wrong(table: Table) -> None:
    fill(table, "2026-03-01T00:00:00Z", seconds=2 * 86_400, step=600)
    with table.stack.admin() as connection:
        for tier in ("_1m", "_1d"):
            connection.execute(f"UPDATE {table.catalogue.table}{tier} SET flow_sum = 0, count = 7".encode())
        connection.execute(
            f"INSERT INTO {table.catalogue.table}_1m (device_id, bucket, count)"
            f" VALUES ('m0', '2026-03-01T00:05:00Z', 9)".encode()
        )
    table.manage("telemetry_backfill", "--since", "2026-03-01T00:00:00Z")
    assert_right(table)


@pytest.mark.usefixtures("triggers_only")
def test_a_metric_that_was_stored_before_it_was_listed_needs_a_backfill(table: Table) -> None:
    table.run("ALTER TABLE {} ADD COLUMN extra double precision")
    fill(table, "2026-03-01T00:00:00Z", seconds=3_600, step=60)
    table.run("UPDATE {} SET extra = level")
    text = table.path.read_text()
    table.path.write_text(text + '\n[[metric]]\nname = "brandnew"\n')
    table.manage("telemetry_schema", "--apply")
    assert table.complete_since() == {"-infinity"}  # no reading can have had it
    table.path.write_text(table.path.read_text() + '\n[[metric]]\nname = "extra"\n')
    table.manage("telemetry_schema", "--apply")
    assert table.complete_since() == {"infinity"}
    table.manage("telemetry_backfill")
    assert_tiers_hold_what_raw_holds(table.connection, METERS, catalogue_load(table.path))


def test_the_reader_may_read_tiers_and_nothing_more(table: Table, stack: Stack) -> None:
    with psycopg.connect(stack.env["TELEMETRY_URL"], autocommit=True, connect_timeout=5) as reader:
        for name in ("_1m", "_15m", "_1h", "_1d", "_tiers"):
            reader.execute(f"SELECT * FROM {table.catalogue.table}{name}".encode())
            reader.execute("SET default_transaction_read_only = off")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"DELETE FROM {table.catalogue.table}{name}".encode())


def test_backfill_without_tiers_says_what_to_do(bare_table: Table) -> None:
    with pytest.raises(AssertionError, match="telemetry_schema --apply"):
        bare_table.manage("telemetry_backfill")
