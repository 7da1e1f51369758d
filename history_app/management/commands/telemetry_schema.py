"""Print or apply the telemetry schema: hypertable, rollup tiers, roles."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from core.catalogue import CATALOGUE
from telemetry import ddl
from telemetry.schema import readable_tables, table_statements

CONNECT_TIMEOUT_S = 5


class Command(BaseCommand):
    help = "Print the DDL for the telemetry database, or apply it as the owner role. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--apply", action="store_true", help="run it with TELEMETRY_ADMIN_URL")

    def handle(self, *args: Any, apply: bool, **options: Any) -> None:
        reader = conninfo_to_dict(settings.TELEMETRY_URL)
        role = str(reader.get("user") or "wattstream_reader")
        if apply:
            self._apply(role, str(reader.get("password") or ""))
            self.stdout.write(f"telemetry schema applied; {role} may only SELECT")
            return
        for statement in _statements(role):
            self.stdout.write(statement.as_string() + ";\n")
        self.stdout.write(f"-- with --apply, {role} is also given the password that TELEMETRY_URL names\n")

    def _apply(self, role: str, password: str) -> None:
        url = os.environ.get("TELEMETRY_ADMIN_URL", "")
        if not url:
            raise CommandError("TELEMETRY_ADMIN_URL is not set; it names the database and the role that owns it")
        try:
            with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [ddl.SCHEMA_LOCK])
                connection.execute("SET LOCAL client_min_messages = warning")
                for statement in _statements(role):
                    connection.execute(statement)
                if password:
                    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
                    connection.execute(ddl.password_statement(role, verifier.decode()))
        except psycopg.Error as error:
            raise CommandError(f"the telemetry schema was not applied: {error}") from error


def _statements(role: str) -> list[sql.Composed]:
    return [
        *table_statements(CATALOGUE),
        ddl.role_create_statement(role),
        ddl.no_temporary_tables_statement(),
        *ddl.role_settings_statements(role, settings.TELEMETRY_STATEMENT_TIMEOUT_MS),
        *ddl.grant_statements(CATALOGUE, role, readable_tables(CATALOGUE)),
    ]
