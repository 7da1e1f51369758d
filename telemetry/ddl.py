"""The telemetry schema as SQL, made from the catalogue. Pure: builds statements, runs none. Each is safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue

# An arbitrary constant: with this advisory lock, two runs of the schema command wait for each other.
SCHEMA_LOCK = 0x77617474


def table_of(catalogue: Catalogue) -> Identifier:
    """The qualified name of the hypertable."""
    return Identifier(catalogue.schema, catalogue.table)


def regclass(catalogue: Catalogue, name: str) -> Composed:
    """A table or view of the catalogue's schema as a `regclass` value."""
    return SQL("{}::regclass").format(Literal(f'"{catalogue.schema}"."{name}"'))


def finite(value: Composable) -> Composed:
    """`value`, null where it is NaN, infinite or beyond ±1e290: a third-party writer may store those, and a sum of
    larger values overflows."""
    return SQL("CASE WHEN abs({0}) <= 1e290 THEN {0} END").format(value)


def schema_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Extension, table and hypertable. Run as the owner role.

    The primary key (device, time) is also the index that finds the newest reading of a device: read backwards,
    newest chunk first.
    """
    table = table_of(catalogue)
    yield Composed([SQL("CREATE EXTENSION IF NOT EXISTS timescaledb")])
    columns = [
        SQL("{} timestamptz NOT NULL").format(Identifier(catalogue.time)),
        SQL("{} text NOT NULL").format(Identifier(catalogue.device)),
        *(SQL("{} double precision").format(Identifier(metric.column)) for metric in catalogue.metrics),
        SQL("PRIMARY KEY ({}, {})").format(Identifier(catalogue.device), Identifier(catalogue.time)),
    ]
    yield SQL("CREATE TABLE IF NOT EXISTS {} (\n    {}\n)").format(table, SQL(",\n    ").join(columns))
    yield SQL(
        "SELECT create_hypertable({}, {}, chunk_time_interval => {}::interval,"
        " if_not_exists => true, create_default_indexes => false)"
    ).format(regclass(catalogue, catalogue.table), Literal(catalogue.time), Literal(catalogue.chunk_interval))


def column_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Columns for metrics that were added to the catalogue after the table was created."""
    for metric in catalogue.metrics:
        yield SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} double precision").format(
            table_of(catalogue), Identifier(metric.column)
        )


def role_create_statement(role: str) -> Composed:
    """Create the role unless it is there. It cannot log in until it is given a password."""
    create = SQL("CREATE ROLE {}").format(Identifier(role)).as_string()
    return SQL(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {}) THEN EXECUTE {}; END IF; END $$"
    ).format(Literal(role), Literal(create))


def password_statement(role: str, verifier: str) -> Composed:
    """Let the role log in. `verifier` is the SCRAM verifier, never the password in clear."""
    return SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(Identifier(role), Literal(verifier))


def no_temporary_tables_statement() -> Composed:
    """Only the owner of the database may create temporary tables, not the role that reads."""
    revoke = SQL("EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database())")
    return SQL("DO $$ BEGIN {}; END $$").format(revoke)


def role_settings_statements(role: str, statement_timeout_ms: int) -> Iterator[Composed]:
    """Settings of the role instead of the connection, so that they hold behind a connection pooler too."""
    name = Identifier(role)
    yield SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name)
    yield SQL("ALTER ROLE {} SET statement_timeout = {}").format(name, Literal(statement_timeout_ms))
    # Its queries read few rows of one device: the planner should use an index even for a small table.
    yield SQL("ALTER ROLE {} SET random_page_cost = 1.1").format(name)
    # Its statements name many tables: planning or compiling one for each execution costs more than running it.
    yield SQL("ALTER ROLE {} SET plan_cache_mode = force_generic_plan").format(name)
    yield SQL("ALTER ROLE {} SET jit = off").format(name)
    yield SQL("ALTER ROLE {} SET idle_in_transaction_session_timeout = {}").format(name, Literal("60s"))


def grant_statements(catalogue: Catalogue, role: str, tables: Iterable[Identifier]) -> Iterator[Composed]:
    """SELECT on what history reads (`tables`), and nothing else."""
    name = Identifier(role)
    yield SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(catalogue.schema), name)
    for table in tables:
        yield SQL("REVOKE ALL ON {} FROM {}").format(table, name)
        yield SQL("GRANT SELECT ON {} TO {}").format(table, name)
