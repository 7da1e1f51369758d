"""Backup and restore of accounts on SQLite, while other processes read and write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from django.db import DatabaseError, connection

from auth_app.backup.files import SESSIONS, BackupError, Migration
from core.accounts_database import SQLITE_TIMEOUT_S

MAGIC = b"SQLite format 3\0"


def backup(draft: Path) -> None:
    """Write a consistent copy to `draft`. Pages that contain deleted rows only are not copied."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(draft)])
        with closing(sqlite3.connect(draft)) as copy, copy:
            copy.execute("PRAGMA secure_delete = ON")
            copy.execute(f"DELETE FROM {SESSIONS}")  # noqa: S608 - a constant
    except (DatabaseError, sqlite3.Error) as error:
        raise BackupError(f"The accounts database cannot be copied: {error}.") from error
    migrations_in(draft)


def migrations_in(file: Path) -> set[Migration]:
    """The migrations applied in a backup, after a check of every page. Raises `BackupError`."""
    try:
        with closing(_read_only(file)) as copy:
            found = [row[0] for row in copy.execute("PRAGMA integrity_check")]
            strays = copy.execute("PRAGMA foreign_key_check").fetchall()
            if found != ["ok"] or strays:
                raise BackupError(f"{file} is damaged: {found[0] if found != ['ok'] else strays[0]}.")
            return {(app, name) for app, name in copy.execute("SELECT app, name FROM django_migrations")}
    except sqlite3.Error as error:
        raise BackupError(f"{file} is damaged or no backup: {error}.") from error


def require_unused() -> None:
    """Raises `BackupError` if another process is using the database at this moment."""
    path = _database()
    if not path.exists():
        return
    connection.close()
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as alone:
            alone.execute("PRAGMA locking_mode = EXCLUSIVE")
            alone.execute("BEGIN EXCLUSIVE")
            alone.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise BackupError(f"{path} is in use ({error}): stop the servers, or add --force.") from error


def restore(file: Path) -> None:
    """Replace the database by the backup in one transaction: a reader sees all of it or nothing."""
    path = _database()
    connection.close()
    try:
        with closing(_read_only(file)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target, progress=_deadline(path))
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{path} cannot be written: {error}.") from error


def _deadline(path: Path) -> Callable[[int, int, int], None]:
    end = time.monotonic() + SQLITE_TIMEOUT_S

    def progress(status: int, remaining: int, total: int) -> None:
        if status != sqlite3.SQLITE_DONE and time.monotonic() > end:
            raise BackupError(f"{path} was locked by somebody else for {SQLITE_TIMEOUT_S} s; nothing was changed.")

    return progress


def _database() -> Path:
    name = str(connection.settings_dict["NAME"])
    if connection.is_in_memory_db():  # type: ignore[attr-defined]
        raise BackupError("DATABASE_URL names a database in memory, which has no file.")
    return Path(name)


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)
