"""The schema on a table with existing readings or with a changed catalogue, and the privileges of other roles."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from telemetry.catalogue import Catalogue, catalogue_load
from telemetry.ddl import schema_statements, table_of
from telemetry.energy_tiers import energy_tables
from telemetry.floor import state_table
from tests.rollup.table import Table, assert_right, roll_up, schema_apply, table_drop

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def bare_table(owner_url: str, catalogue: Catalogue) -> Iterator[Table]:
    """Three days of readings of two meters, without a rollup."""
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        for statement in schema_statements(catalogue):
            connection.execute(statement)
        table = Table(owner_url, catalogue, connection)
        table.fill("2026-03-01T00:00:00Z", seconds=3 * 86_400, step=97)
        yield table
        table_drop(connection, catalogue)


def test_existing_readings_are_logged_per_device_and_day(bare_table: Table) -> None:
    for _ in range(2):
        schema_apply(bare_table.connection, bare_table.catalogue)
        assert len(bare_table.log()) == 6
    assert {(last - first).days for _, first, last, _ in bare_table.log()} == {0}
    assert assert_right(bare_table.url, bare_table.catalogue) == 0
    assert bare_table.roll_up().progress.days == 6
    schema_apply(bare_table.connection, bare_table.catalogue)
    assert bare_table.log() == []
    assert assert_right(bare_table.url, bare_table.catalogue) > 1000


def test_a_new_metric_needs_a_rebuild_only_for_an_existing_column(table: Table, catalogue_path: Path) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=7_200, step=60)
    table.roll_up()
    text = catalogue_path.read_text()
    catalogue_path.write_text(text + '[[metric]]\nname = "brandnew"\n')
    schema_apply(table.connection, catalogue_load(catalogue_path))
    assert table.log() == []
    assert_right(table.url, catalogue_load(catalogue_path))

    table.run("ALTER TABLE {} ADD COLUMN extra double precision")
    table.run("UPDATE {} SET extra = level")
    roll_up(table.url, catalogue_load(catalogue_path))
    catalogue_path.write_text(catalogue_path.read_text() + '[[metric]]\nname = "extra"\n')
    wider = catalogue_load(catalogue_path)
    schema_apply(table.connection, wider)
    assert len(table.log()) == 2
    assert_right(table.url, wider)
    roll_up(table.url, wider)
    assert table.log() == []
    assert_right(table.url, wider)


def test_new_energy_tiers_are_filled(table: Table) -> None:
    """A log from before the energy tiers, and one from before the metric was a power."""
    table.fill("2026-03-01T00:00:00Z", seconds=7_200, step=60)
    table.roll_up()
    tiers = [SQL("DROP TABLE {}").format(name) for name in energy_tables(table.catalogue)]
    unknown = SQL("DELETE FROM {} WHERE key = 'energy flow'").format(state_table(table.catalogue))
    for change in (tiers, [unknown]):
        for statement in change:
            table.connection.execute(statement)
        for _ in range(2):
            schema_apply(table.connection, table.catalogue)
            assert [device_id for device_id, *_ in table.log()] == ["m0", "m1"]
        table.roll_up()
        assert table.log() == []
        schema_apply(table.connection, table.catalogue)
        assert table.log() == []
        for name in energy_tables(table.catalogue):
            found = table.connection.execute(SQL("SELECT DISTINCT metric FROM {}").format(name)).fetchall()
            assert found == [("flow",)]


def test_a_metric_that_becomes_a_power_is_filled_into_the_energy_tiers(table: Table, catalogue_path: Path) -> None:
    text = catalogue_path.read_text()
    table.fill("2026-03-01T00:00:00Z", seconds=7_200, step=60)
    for kind, logged in (("other", 2), ("power", 2), ("other", 0), ("power", 2)):
        catalogue_path.write_text(text.replace('kind = "power"', f'kind = "{kind}"'))
        catalogue = catalogue_load(catalogue_path)
        schema_apply(table.connection, catalogue)
        assert len(table.log()) == logged
        roll_up(table.url, catalogue)


def test_tiers_of_earlier_versions_keep_their_rows(table: Table) -> None:
    """Their triggers and unused columns are dropped."""
    name = table.catalogue.table
    for statement in (
        f"ALTER TABLE {name}_1h ADD COLUMN flow_pos double precision NOT NULL",
        f"INSERT INTO {name}_1h (device_id, bucket, count, flow_pos) VALUES ('m0', '2025-01-01Z', 7, 1)",
        f"CREATE TABLE {name}_tiers (tier text)",
        f"CREATE FUNCTION {name}_tiers_insert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''there''; END'",
        f"CREATE TRIGGER summing AFTER INSERT ON {name} FOR EACH STATEMENT EXECUTE FUNCTION {name}_tiers_insert()",
    ):
        table.connection.execute(statement.encode())
    schema_apply(table.connection, table.catalogue)
    table.insert([("m0", DAY, (1.0, 1.0))])
    table.roll_up()
    assert {day.year: row[0] for (_, day), row in table.rows("1h").items()} == {2025: 7, 2026: 1}


def test_a_writer_needs_no_privileges_on_log_and_tiers(table: Table) -> None:
    role = f"inserter_{secrets.token_hex(4)}"
    with psycopg.connect(table.url, autocommit=True, connect_timeout=5) as owner:
        owner.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(role), Literal(role)))
        try:
            owner.execute(
                SQL("GRANT INSERT, UPDATE, DELETE, SELECT ON {} TO {}").format(
                    table_of(table.catalogue), Identifier(role)
                )
            )
            told = conninfo_to_dict(table.url) | {"user": role, "password": role}
            with psycopg.connect(make_conninfo("", **told), connect_timeout=5) as writer:
                own = Table(table.url, table.catalogue, writer)
                own.insert([("m0", DAY, (1.0, 1.0))])
                own.run("UPDATE {} SET level = 4")
                own.run("DELETE FROM {}")
        finally:
            owner.execute(SQL("REVOKE ALL ON {} FROM {}").format(table_of(table.catalogue), Identifier(role)))
            owner.execute(SQL("DROP ROLE {}").format(Identifier(role)))
    assert [row[0] for row in table.log()] == ["m0"] * 3
