"""Access tokens: create and revoke."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from auth_app.events import AccessChange, announce
from auth_app.models import AccessToken, User
from auth_app.scopes import KEY_DEFAULT_SCOPES, TokenScope, scopes_text
from auth_app.tokens.digest import token_digest

PREFIX = "wst_"  # lets secret scanners recognise a leaked token


def token_create(
    *,
    user: User,
    kind: AccessToken.Kind,
    name: str = "",
    scopes: Iterable[TokenScope] = KEY_DEFAULT_SCOPES,
    expires_at: datetime | None = None,
) -> tuple[str, AccessToken]:
    """Create a token. Returns its clear text, which is stored nowhere, and its row. `scopes`: of an API key."""
    clear = PREFIX + secrets.token_urlsafe(32)
    row = AccessToken.objects.create(
        user=user,
        kind=kind,
        name=name,
        scopes=scopes_text(scopes) if kind == AccessToken.Kind.API_KEY else "",
        digest=token_digest(clear),
        expires_at=expires_at or timezone.now() + timedelta(days=settings.TOKEN_LIFETIME_DAYS),
    )
    return clear, row


def tokens_revoke(tokens: Iterable[AccessToken]) -> None:
    """Revoke, and announce it, which closes the sockets that use them."""
    ids = tuple(token.pk for token in tokens)
    with transaction.atomic():
        AccessToken.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=timezone.now())
        announce(AccessChange(tokens=ids))


def tokens_revoke_others(*, user: User, keep: int) -> None:
    """Revoke every token of `user` except the one with the id `keep`."""
    with transaction.atomic():
        user.access_tokens.filter(revoked_at=None).exclude(pk=keep).update(revoked_at=timezone.now())
        announce(AccessChange(users=(user.pk,)))
