"""The steps of docs/backup.md: a dump of TimescaleDB, restored into an empty database, works as before."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.catalogue import CATALOGUE
from testing.process import ROOT
from testing.stack import Stack, manage
from tests.chaos.services import Services
from tests.rollup.table import assert_right, roll_up

DEVICE = "ems_restored"
ROWS = 3000


@pytest.fixture
def services() -> Iterator[Services]:
    """A private server, because a restore needs its superuser."""
    private = Services()
    private.start()
    yield private
    private.remove()


def insert(url: str, first: datetime, count: int) -> None:
    with psycopg.connect(url, connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.executemany(
            sql.SQL("INSERT INTO energy_data (time, device_id, battery_power) VALUES (%s, %s, %s)"),
            [(first + timedelta(minutes=n), DEVICE, float(n)) for n in range(count)],
        )


def test_a_dump_of_the_telemetry_database_restores_completely(stack: Stack, services: Services, tmp_path: Path) -> None:
    env = {**stack.env, **services.env()}
    owner = env["TELEMETRY_ADMIN_URL"]
    manage(env, "telemetry_schema", "--apply")
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    insert(owner, first, ROWS)
    roll_up(owner, CATALOGUE)

    dump = tmp_path / "telemetry.dump"
    run("pg_dump", "--format=custom", f"--file={dump}", address=owner)
    root = make_conninfo(owner, user="postgres", password=superuser_password(services), dbname="postgres")
    with psycopg.connect(root, autocommit=True, connect_timeout=5) as connection:
        connection.execute("DROP DATABASE wattstream WITH (FORCE)")
        connection.execute("CREATE DATABASE wattstream OWNER wattstream_owner")
    inside = make_conninfo(root, dbname="wattstream")
    with psycopg.connect(inside, autocommit=True, connect_timeout=5) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        connection.execute("SELECT timescaledb_pre_restore()")
        run("pg_restore", "--exit-on-error", str(dump), address=inside)
        connection.execute("SELECT timescaledb_post_restore()")
    manage(env, "telemetry_schema", "--apply")

    insert(owner, first + timedelta(days=20), 5)
    with psycopg.connect(owner, connect_timeout=5) as connection:
        count = connection.execute("SELECT count(*) FROM energy_data").fetchone()
        assert count == (ROWS + 5,)
    assert_right(owner, CATALOGUE, kept={})
    roll_up(owner, CATALOGUE)
    assert assert_right(owner, CATALOGUE, kept={}) > ROWS
    with psycopg.connect(env["TELEMETRY_URL"], connect_timeout=5) as reader:
        assert reader.execute("SELECT count(*) FROM energy_data").fetchone() == (ROWS + 5,)


def superuser_password(services: Services) -> str:
    return str(json.loads((services.data / "instance.json").read_text())["superuser_password"])


def run(program: str, *arguments: str, address: str) -> None:
    """Run a program of the private server."""
    folder = next((ROOT / ".local/services/prefix").glob("usr/lib/postgresql/*/bin"))
    told = conninfo_to_dict(address)
    env = {"PATH": "/usr/bin:/bin", "PGPASSWORD": str(told.pop("password"))}
    command = [str(folder / program), "--no-password", f"--dbname={make_conninfo('', **told)}", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
