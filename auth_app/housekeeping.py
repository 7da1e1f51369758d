"""Deletes accounts data that is no longer kept: ended tokens and sessions, old audit entries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from auth_app.access_changes import changes_purge
from auth_app.models import AccessToken, AuditEntry
from core.housekeeping import Job, rows_delete

TOKENS_KEPT_DAYS = 7  # after their end, so that the admin still shows why a token stopped working


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows were deleted."""

    tokens: int
    audit_entries: int


def accounts_purge() -> Purged:
    """Delete tokens that ended TOKENS_KEPT_DAYS ago, expired sessions, audit entries of AUDIT_RETENTION_DAYS ago."""
    now = timezone.now()
    ended = now - timedelta(days=TOKENS_KEPT_DAYS)
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return Purged(
        tokens=rows_delete(AccessToken.objects.filter(Q(expires_at__lt=ended) | Q(revoked_at__lt=ended))),
        audit_entries=rows_delete(
            AuditEntry.objects.filter(time__lt=now - timedelta(days=settings.AUDIT_RETENTION_DAYS))
        ),
    )


JOBS = (Job(changes_purge, first_s=30, every_s=600), Job(accounts_purge, first_s=60, every_s=24 * 3600))
