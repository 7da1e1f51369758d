"""Deletes what the accounts database keeps no longer. The server does it once a day by itself."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from devices_app.housekeeping import purge
from devices_app.services import grants_end_expired


class Command(BaseCommand):
    help = "Deletes tokens and sessions that have ended, expired grants, and audit entries past AUDIT_RETENTION_DAYS."

    def handle(self, **_: Any) -> None:
        grants = grants_end_expired()
        purged = purge()
        self.stdout.write(f"deleted: {purged.tokens} tokens, {grants} grants, {purged.audit_entries} audit entries")
