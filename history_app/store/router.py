"""Keeps Django from migrating or writing the telemetry database. The role refuses both too."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

TELEMETRY = "telemetry"


class TelemetryWriteRefused(RuntimeError):
    """Django tried to write to the telemetry database. Only the writer may."""


class TelemetryRouter:
    """Models of `history_app` (an installation may add unmanaged ones) read from telemetry; nothing writes there."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return TELEMETRY if model._meta.app_label == "history_app" else None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        if model._meta.app_label == "history_app":
            raise TelemetryWriteRefused(f"{model.__name__} is telemetry: only the writer writes it")
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if TELEMETRY in (db, hints.get("target_db")) or app_label == "history_app" else None
