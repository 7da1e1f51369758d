"""Copies the accounts database into a file while servers read and write."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from auth_app.backup import postgres, sqlite
from auth_app.backup.files import BackupError, written_atomically

NEXT = """\
Next: copy it to another machine. It holds no token and no password in clear, but hashes and names: keep it private.
SECRET_KEY and INGEST_SECRET are not in it, and the keys of all devices hang on the latter: keep your .env as well.
Back again: manage.py restore_accounts {file}"""


class Command(BaseCommand):
    help = "Copies the accounts database into FILE, one consistent state of it, while servers read and write."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="made readable by you alone")
        parser.add_argument("--force", action="store_true", help="replace FILE where it exists")

    def handle(self, *, file: Path, force: bool, **_: Any) -> None:
        if file.exists() and not force:
            raise CommandError(f"{file} exists; add --force to replace it.")
        kind = sqlite if connection.vendor == "sqlite" else postgres
        try:
            with written_atomically(file) as draft:
                kind.backup(draft)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size} bytes")
        self.stdout.write(NEXT.format(file=file))
