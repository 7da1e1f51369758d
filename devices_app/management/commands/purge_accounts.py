"""Deletes data that the accounts database no longer keeps. The server does the same once a day."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from auth_app.housekeeping import accounts_purge
from devices_app.services import grants_end_expired


class Command(BaseCommand):
    help = "Deletes ended tokens and sessions, expired grants, and audit entries older than AUDIT_RETENTION_DAYS."

    def handle(self, **_: Any) -> None:
        grants = grants_end_expired()
        purged = accounts_purge()
        self.stdout.write(f"deleted: {purged.tokens} tokens, {grants} grants, {purged.audit_entries} audit entries")
