"""Tokens of logins and browser sessions: issued after a password check, ended by signing out."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from auth_app.audit.entries import Event, audit_record
from auth_app.models import AccessToken, User
from auth_app.selectors import sessions_of
from auth_app.tokens.access_tokens import token_create, tokens_revoke
from core.errors import NotFound, Unauthorized

WRONG_LOGIN = "Wrong username or password."


def login_token_create(
    *, user: User, kind: AccessToken.Kind, address: str, expires_at: datetime | None = None
) -> tuple[str, AccessToken]:
    """Create a token for a user whose password was just checked. Raises `Unauthorized` if it has changed since."""
    with transaction.atomic():
        # Checking a password takes time. Meanwhile it may have been changed, and every token revoked.
        unchanged = User.objects.select_for_update().filter(pk=user.pk, password=user.password, is_active=True)
        if not unchanged.exists():
            raise Unauthorized(WRONG_LOGIN)
        unchanged.update(last_login=timezone.now())
        audit_record(Event.LOGIN, user=user, address=address, detail=kind)
        return token_create(user=user, kind=kind, expires_at=expires_at)


def user_sign_out(*, token_id: int, address: str) -> None:
    """Revoke one token and close its sockets. Does nothing if it was revoked before."""
    with transaction.atomic():
        for token in AccessToken.objects.filter(pk=token_id, revoked_at=None).select_related("user"):
            tokens_revoke([token])
            audit_record(Event.LOGOUT, user=token.user, address=address, detail=token.name or token.kind)


def session_end(*, user: User, token_id: int, address: str) -> None:
    """End one login or browser session. Raises `NotFound`, with the same text for another user's and an unknown one."""
    if not sessions_of(user).filter(pk=token_id).exists():
        raise NotFound("You have no such session.")
    user_sign_out(token_id=token_id, address=address)


def sessions_end_others(*, user: User, keep: int, address: str) -> None:
    """End every login and browser session except the one with the id `keep`. API keys stay valid."""
    with transaction.atomic():
        for token in sessions_of(user).exclude(pk=keep):
            user_sign_out(token_id=token.pk, address=address)
