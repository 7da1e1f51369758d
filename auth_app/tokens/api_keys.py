"""API keys: named tokens that a user creates for programs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from auth_app.audit.entries import Event, audit_record
from auth_app.limits.attempts import keys_made
from auth_app.limits.counters import attempts_counted
from auth_app.models import AccessToken, User
from auth_app.scopes import KEY_DEFAULT_SCOPES, TokenScope
from auth_app.selectors import api_keys_of
from auth_app.tokens.access_tokens import token_create, tokens_revoke
from core.errors import BadRequest, NotFound

API_KEY_DEFAULT_DAYS = 90
API_KEY_MAX_DAYS = 730
API_KEYS_PER_USER = 100


def api_key_create(
    *,
    user: User,
    address: str,
    name: str,
    scopes: Iterable[TokenScope] = KEY_DEFAULT_SCOPES,
    expires_at: datetime | None = None,
) -> tuple[str, AccessToken]:
    """Create a key. Returns its clear text and its row. It expires after API_KEY_DEFAULT_DAYS by default.

    Raises `BadRequest`, `TooManyAttempts`.
    """
    attempts_counted(*keys_made(user.pk, address))
    now = timezone.now()
    expires_at = expires_at or now + timedelta(days=API_KEY_DEFAULT_DAYS)
    if not now < expires_at <= now + timedelta(days=API_KEY_MAX_DAYS):
        raise BadRequest(f"expires_at: accepted are times from now to {API_KEY_MAX_DAYS} days ahead.")
    with transaction.atomic():
        User.objects.select_for_update().filter(
            pk=user.pk
        ).first()  # one at a time, else simultaneous requests could exceed the limit
        if api_keys_of(user).filter(expires_at__gt=now).count() >= API_KEYS_PER_USER:
            raise BadRequest(
                f"At most {API_KEYS_PER_USER} API keys are allowed; delete one first.", code="too_many_api_keys"
            )
        clear, key = token_create(
            user=user, kind=AccessToken.Kind.API_KEY, name=name, scopes=scopes, expires_at=expires_at
        )
        audit_record(Event.KEY_MADE, user=user, address=address, detail=f"{name} ({key.scopes})")
    return clear, key


def api_key_revoke(*, user: User, token_id: int, address: str) -> None:
    """Revoke a key. Raises `NotFound`, with the same text for another user's key and for an unknown one."""
    with transaction.atomic():
        keys = list(api_keys_of(user).filter(pk=token_id))
        if not keys:
            raise NotFound("You have no such API key.")
        tokens_revoke(keys)
        audit_record(Event.KEY_REVOKED, user=user, address=address, detail=keys[0].name)
