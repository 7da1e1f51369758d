"""The common part of both kinds of backup: the file, refusals, and the check that a backup fits this code."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader

Migration = tuple[str, str]
# A backup contains no browser sessions: users sign in again after a restore.
SESSIONS = "django_session"
_MADE_BY_MIGRATE = frozenset({"auth", "contenttypes"})


class BackupError(Exception):
    """A backup or restore is impossible; the message says why and what to do."""


@contextmanager
def written_atomically(target: Path) -> Iterator[Path]:
    """Yield an empty draft that only its owner can read. If the block succeeds, the draft on disk replaces `target`."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        _sync(draft)
        draft.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise BackupError(f"{target}: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_empty() -> None:
    """Raises `BackupError` if the accounts database contains anything that `migrate` did not create."""
    tables = set(connection.introspection.table_names())
    for model in apps.get_models():
        meta = model._meta
        is_here = meta.db_table in tables and meta.app_label not in _MADE_BY_MIGRATE
        if is_here and model._default_manager.exists():
            raise BackupError(
                f"The database that DATABASE_URL names is not empty, it has {meta.verbose_name_plural}."
                " Back it up first, stop the servers, and add --force to replace what is in it."
            )


def require_known(applied: set[Migration]) -> int:
    """How many migrations the backup is behind this code. Raises `BackupError` if it is ahead or not a backup."""
    known = set(MigrationLoader(None).disk_migrations)
    if ("auth_app", "0001_initial") not in applied:
        raise BackupError("This is no backup of a wattstream accounts database: auth_app's tables are not in it.")
    if newer := sorted(applied - known):
        listed = ", ".join(f"{app} {name}" for app, name in newer)
        raise BackupError(f"The backup is of a newer wattstream than this one, which does not know {listed}.")
    return len(known - applied)
