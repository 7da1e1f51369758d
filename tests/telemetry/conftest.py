"""Rollup tiers of a table of its own, so that a test may take them away and make them again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import pytest
from psycopg import sql

from telemetry.catalogue import Catalogue, catalogue_load
from telemetry.ddl import table_of
from telemetry.tiers import state_table, tier_table, tiers_of
from testing.stack import Stack, manage
from testing.tiers import Connection, is_timescale

# Names of another installation, one of them in mixed case, and a metric whose name is not its column's.
CATALOGUE_TEXT = """
[table]
name = "{name}"
time = "At"
device = "meter"
chunk_interval = "1 day"

[[metric]]
name = "flow"
column = "devices"
kind = "power"
unit = "W"

[[metric]]
name = "level"
kind = "other"
"""


@dataclass(frozen=True)
class Table:
    """A hypertable with its catalogue; `connection` is the owner's, autocommit."""

    stack: Stack
    path: Path
    catalogue: Catalogue
    connection: Connection

    @property
    def name(self) -> sql.Identifier:
        return table_of(self.catalogue)

    def manage(self, *arguments: str) -> str:
        return manage({**self.stack.env, "TELEMETRY_CATALOGUE": str(self.path)}, *arguments)

    def run(self, statement: LiteralString, parameters: Sequence[object] | None = None) -> None:
        """`statement` with the table's name for {}."""
        self.connection.execute(sql.SQL(statement).format(self.name), parameters)

    def complete_since(self) -> set[str]:
        query = sql.SQL("SELECT DISTINCT complete_since::text FROM {}").format(state_table(self.catalogue))
        return {text for (text,) in self.connection.execute(query)}


@pytest.fixture
def bare_table(stack: Stack, tmp_path: Path) -> Iterator[Table]:
    """The hypertable with readings of three days but without tiers: as it was before there were any."""
    name = f"meter_{secrets.token_hex(3)}"
    path = tmp_path / "catalogue.toml"
    path.write_text(CATALOGUE_TEXT.format(name=name))
    with stack.admin() as connection:
        table = Table(stack, path, catalogue_load(path), connection)
        table.run('CREATE TABLE {} ("At" timestamptz NOT NULL, meter text NOT NULL, devices double precision,'
                  ' level double precision, PRIMARY KEY (meter, "At"))')  # fmt: skip
        connection.execute(
            "SELECT create_hypertable(%s, 'At', chunk_time_interval => '1 day'::interval,"
            " create_default_indexes => false)",
            [name],
        )
        fill(table, "2026-03-01T00:00:00Z", seconds=3 * 86_400, step=97)
        yield table
        for tier in reversed(tiers_of(table.catalogue)):
            kind = "MATERIALIZED VIEW" if is_timescale(connection) else "TABLE"
            connection.execute(
                sql.SQL("DROP {} IF EXISTS {} CASCADE").format(sql.SQL(kind), tier_table(table.catalogue, tier))
            )
        table.run("DROP TABLE {} CASCADE")


@pytest.fixture
def table(bare_table: Table) -> Table:
    """The hypertable, empty, with its tiers."""
    bare_table.run("TRUNCATE {}")
    bare_table.manage("telemetry_schema", "--apply")
    return bare_table


def fill(table: Table, start: str, *, seconds: int, step: int, meters: int = 2) -> None:
    """Readings of m0, m1, … every `step` seconds: values of both signs, and nulls."""
    table.run(
        "INSERT INTO {} (\"At\", meter, devices, level) SELECT %s::timestamptz + s * interval '1 s', 'm' || m,"
        " CASE WHEN s %% 7 = 0 THEN NULL ELSE (s %% 1000) - 500 + m END, s %% 11 FROM generate_series(0, %s - 1, %s) s,"
        " generate_series(0, %s - 1) m ON CONFLICT DO NOTHING",
        [start, seconds, step, meters],
    )


@pytest.fixture
def triggers_only(stack: Stack) -> None:
    """Skips where the server keeps tiers as continuous aggregates."""
    with stack.admin() as connection:
        if is_timescale(connection):
            pytest.skip("this server keeps tiers as continuous aggregates")


@pytest.fixture
def caggs_only(stack: Stack) -> None:
    """Skips where the server has no continuous aggregates."""
    with stack.admin() as connection:
        if not is_timescale(connection):
            pytest.skip("timescaledb.license is apache: this server has no continuous aggregates")
