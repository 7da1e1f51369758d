"""Backup and restore of accounts on PostgreSQL, with pg_dump, pg_restore and psql."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from auth_app.backup.files import SESSIONS, BackupError, Migration
from core.accounts_database import accounts_close

MAGIC = b"PGDMP"
LOCK_TIMEOUT_S = 20
_MIGRATIONS = "django_migrations"
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "PGPASSFILE", "PGPASSWORD", "PGSERVICE", "PGSERVICEFILE", "TMPDIR")


def backup(draft: Path) -> None:
    """Write one snapshot of our tables to `draft`, in pg_dump's custom format."""
    tables = [f"--table={name}" for name in _tables()]
    if not tables:
        raise BackupError("The database that DATABASE_URL names has no accounts in it.")
    _run(
        "pg_dump", "--format=custom", "--no-password", "--no-owner", "--no-privileges",
        f"--lock-wait-timeout={LOCK_TIMEOUT_S}s", f"--exclude-table-data={SESSIONS}", *tables,
        f"--file={draft}", f"--dbname={_address()}",
    )  # fmt: skip
    migrations_in(draft)


def migrations_in(file: Path) -> set[Migration]:
    """The migrations applied in a backup, which is unpacked completely to check it. Raises `BackupError`."""
    with tempfile.TemporaryDirectory() as folder:
        return _migrations(script_of(file, Path(folder)))


def require_unused() -> None:
    """Raises `BackupError` if other clients are connected."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
            " application_name <> current_setting('application_name') AND backend_type = 'client backend'"
        )
        row = cursor.fetchone()
    if row and row[0]:
        raise BackupError(f"The database is in use by {row[0]} connections: stop the servers, or add --force.")


def restore(file: Path) -> None:
    """Replace our tables by the backup in one transaction: a reader sees all of it or nothing."""
    tables = ", ".join(map(connection.ops.quote_name, _tables()))
    drop = f"DROP TABLE IF EXISTS {tables} CASCADE" if tables else "SELECT 1"
    accounts_close()
    with tempfile.TemporaryDirectory() as folder:
        script = script_of(file, Path(folder))
        _run(
            "psql", "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--single-transaction",
            f"--command=SET lock_timeout = '{LOCK_TIMEOUT_S}s'", f"--command={drop}", f"--file={script}",
            f"--dbname={_address()}",
        )  # fmt: skip


def _tables() -> list[str]:
    tables: list[str] = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted({*tables, _MIGRATIONS} & set(connection.introspection.table_names()))


def script_of(file: Path, folder: Path) -> Path:
    """Yield the whole backup as SQL, in a folder that only its owner can read."""
    script = folder / "restore.sql"
    _run("pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(file))
    return script


def _migrations(script: Path) -> set[Migration]:
    """From the rows of the table's COPY: columns between tabs, up to a line of `\\.`."""
    found: set[Migration] = set()
    columns: list[str] = []
    with script.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("COPY ") and f".{_MIGRATIONS} (" in line:
                columns = line.partition("(")[2].partition(")")[0].split(", ")
            elif line == "\\.\n":
                columns = []
            elif columns:
                row = dict(zip(columns, line.rstrip("\n").split("\t"), strict=True))
                found.add((row["app"], row["name"]))
    return found


def _address() -> str:
    """The address of the database for libpq. The password is in the environment, which other users cannot read."""
    return make_conninfo("", **{name: value for name, value in _parameters().items() if name != "password"})


def _parameters() -> dict[str, Any]:
    wrapper: Any = connection
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return {name: value for name, value in wrapper.get_connection_params().items() if name in known}


def _run(program: str, *arguments: str) -> None:
    env = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    if password := _parameters().get("password"):
        env["PGPASSWORD"] = str(password)
    done = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
        [_program(program), *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()}")


def _program(name: str) -> str:
    """The program of the server's version, else of the next newer one: an older one cannot read the server.

    Searches POSTGRES_BIN if that is set, else the PATH, Debian's folders and the folder of ./scripts/services.
    """
    wrapper: Any = connection
    needed = wrapper.pg_version // 10_000
    found = sorted((version, path) for path in _candidates(name) if (version := _version(path)) >= needed)
    if not found:
        raise BackupError(
            f"{name} of PostgreSQL {needed} or newer is not there: install PostgreSQL's client programs"
            f" (Debian: postgresql-client-{needed}), or set POSTGRES_BIN to the folder they are in."
        )
    return found[0][1]


def _candidates(name: str) -> set[str]:
    if settings.POSTGRES_BIN:
        folders = [Path(settings.POSTGRES_BIN)]
    else:
        unpacked = settings.BASE_DIR.glob(".local/services/prefix/usr/lib/postgresql/*/bin")
        folders = [*map(Path, os.get_exec_path()), *Path("/usr/lib/postgresql").glob("*/bin"), *unpacked]
    return {path for folder in folders if (path := shutil.which(name, path=str(folder)))}


def _version(program: str) -> int:
    """The major version of a program; 0 if it prints none."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    version = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(version[1]) if version else 0
