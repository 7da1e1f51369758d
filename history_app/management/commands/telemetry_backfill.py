"""Fill the rollup tiers from the readings."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError

from core.catalogue import CATALOGUE
from telemetry.backfill import Backfill, NoTiersError

CONNECT_TIMEOUT_S = 5


class Command(BaseCommand):
    help = (
        "Fill the rollup tiers where readings were there before them, newest day first, as the owner role"
        " (TELEMETRY_ADMIN_URL). Writers can go on; safe to interrupt and to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", metavar="ISO", help="make everything from this day (UTC) on again")

    def handle(self, *args: Any, since: str | None, **options: Any) -> None:
        url = os.environ.get("TELEMETRY_ADMIN_URL", "")
        if not url:
            raise CommandError("TELEMETRY_ADMIN_URL is not set; it names the database and the role that owns it")
        moment = None if since is None else _moment(since)
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                days = Backfill(connection, CATALOGUE).run(moment, self._report)
        except (psycopg.Error, NoTiersError) as error:
            raise CommandError(f"the rollup tiers were not filled: {error}") from error
        self.stdout.write(f"the rollup tiers are complete; {days} days were filled")

    def _report(self, day: datetime, done: int, total: int) -> None:
        self.stdout.write(f"{day:%Y-%m-%d}  {done} of {total} days")
        self.stdout.flush()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--since: {text!r} is not an ISO 8601 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
