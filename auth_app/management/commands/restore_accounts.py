"""Replaces the accounts database by a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from auth_app.backup import postgres, sqlite
from auth_app.backup.files import BackupError, require_empty, require_known
from auth_app.models import User
from core.accounts_database import made_private

NEXT = """\
Next: start the servers ({pending} migrations are still to come; ./scripts/serve applies them).
Everybody signs in again on the pages. Passwords, tokens and shares are what they were when the backup was made:
what was revoked or removed since then is good again, see docs/backup.md."""


class Command(BaseCommand):
    help = "Checks FILE, made by backup_accounts, and puts it in the place of the accounts database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument(
            "--force", action="store_true", help="replace what is there, also while it is in use; back it up first"
        )

    def handle(self, *, file: Path, force: bool, **_: Any) -> None:
        try:
            with made_private():
                pending = restore(file, force=force)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"restored from {file}: {User.objects.count()} users")
        self.stdout.write(NEXT.format(pending=pending or "no"))


def restore(file: Path, *, force: bool) -> int:
    """How many migrations the backup is behind. Everything is checked before anything changes."""
    kind = sqlite if connection.vendor == "sqlite" else postgres
    _require_kind(file, kind.MAGIC)
    pending = require_known(kind.migrations_in(file))
    if not force:
        require_empty()
        kind.require_unused()
    kind.restore(file)
    return pending


def _require_kind(file: Path, magic: bytes) -> None:
    try:
        with file.open("rb") as content:
            start = content.read(len(magic))
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}.") from error
    if start != magic:
        raise BackupError(f"{file} is no backup of a {connection.display_name} database, which DATABASE_URL names.")
