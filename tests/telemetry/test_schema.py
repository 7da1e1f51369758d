"""The schema command, and the limits of the server's role."""

from __future__ import annotations

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, models
from django.db.utils import DatabaseError

from history_app.store.router import TelemetryRouter, TelemetryWriteRefused
from testing.stack import Stack, manage

SERVER_WRITES = [
    "INSERT INTO energy_data (time, device_id) VALUES (now(), 'x')",
    "UPDATE energy_data SET solar_power = 0",
    "DELETE FROM energy_data",
    "TRUNCATE energy_data",
    "DROP TABLE energy_data",
    "CREATE TABLE mine (a int)",
    "ALTER TABLE energy_data ADD COLUMN b int",
]
# These are possible in a read-only transaction, or set it aside.
SERVER_MUST_NOT = [
    "CREATE TEMPORARY TABLE mine (a int)",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY energy_data TO PROGRAM 'true'",
    "COPY energy_data TO '/tmp/energy'",
    "CREATE ROLE other",
    "CREATE DATABASE other",
    "CREATE SCHEMA other",
    "ALTER ROLE wattstream_owner PASSWORD 'x'",
    "SET ROLE wattstream_owner",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wattstream_owner' LIMIT 1",
    "ALTER SYSTEM SET work_mem = '1GB'",
]


def reader(stack: Stack) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(stack.env["TELEMETRY_URL"], autocommit=True, connect_timeout=5)


def test_the_schema_is_printed_and_applying_it_is_idempotent(stack: Stack) -> None:
    printed = manage(stack.env, "telemetry_schema")
    assert 'CREATE TABLE IF NOT EXISTS "public"."energy_data"' in printed
    assert "create_hypertable" in printed
    password = stack.env["TELEMETRY_URL"].split(":")[2].split("@")[0]
    assert password not in printed
    for _ in range(2):
        assert "applied" in manage(stack.env, "telemetry_schema", "--apply")
    with stack.admin() as connection:
        names = connection.execute("SELECT hypertable_name FROM timescaledb_information.hypertables").fetchall()
    assert ("energy_data",) in names


def test_the_printed_schema_runs_unchanged(stack: Stack) -> None:
    printed = manage(stack.env, "telemetry_schema")
    with stack.admin() as connection:
        connection.execute(printed)


@pytest.mark.parametrize("statement", SERVER_WRITES)
def test_the_servers_role_cannot_write(stack: Stack, statement: str) -> None:
    with reader(stack) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute(statement)


@pytest.mark.parametrize("statement", SERVER_WRITES)
def test_the_servers_role_cannot_write_in_a_writable_transaction(stack: Stack, statement: str) -> None:
    with reader(stack) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize("statement", SERVER_MUST_NOT)
def test_the_servers_role_may_do_nothing_else(stack: Stack, statement: str) -> None:
    with stack.admin(), reader(stack) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_statement_may_lock_many_chunks(stack: Stack) -> None:
    with stack.admin() as connection:
        (locks,) = connection.execute("SELECT current_setting('max_locks_per_transaction')::int").fetchone() or (0,)
    assert int(str(locks)) >= 256


def test_the_role_has_a_statement_timeout(stack: Stack) -> None:
    with reader(stack) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)


def test_django_cannot_write(stack: Stack) -> None:
    with pytest.raises(DatabaseError), connections["telemetry"].cursor() as cursor:
        cursor.execute(SERVER_WRITES[0])


def test_the_router_refuses_writes_and_migrations() -> None:
    class Energy(models.Model):
        class Meta:
            app_label = "history_app"
            managed = False

    router = TelemetryRouter()
    assert router.db_for_read(Energy) == "telemetry"
    with pytest.raises(TelemetryWriteRefused):
        router.db_for_write(Energy)
    assert router.allow_migrate("telemetry", "auth_app") is False
    assert router.allow_migrate("default", "history_app") is False
    assert router.allow_migrate("default", "auth_app") is None


def test_migrating_the_telemetry_database_changes_nothing(stack: Stack) -> None:
    with pytest.raises(DatabaseError):
        call_command("migrate", database="telemetry", verbosity=0)
    with stack.admin() as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'django_migrations'").fetchone()
    assert found == (0,)
