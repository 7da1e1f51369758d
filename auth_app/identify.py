"""Finds the identity behind credentials: one resolver for HTTP requests, pages and websockets."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from auth_app.events import AccessChange, listen
from auth_app.identity import Credentials, Identity
from auth_app.models import AccessToken
from auth_app.scopes import EVERYTHING, scopes_of_text
from auth_app.tokens.digest import token_digest
from core.accounts import accounts_ask
from core.decision_cache import DecisionCache
from telemetry.logs import note_user

SESSION_TOKEN_KEY = "access_token_id"  # noqa: S105 - the name of a session field
_cache: DecisionCache[Credentials, Identity] = DecisionCache(lifetime_s=settings.ACCESS_CACHE_S)


def _forget(change: AccessChange) -> None:
    _cache.purge(lambda _, identity: identity.user_id in change.users or identity.token_id in change.tokens)


listen(_forget)


def identify(credentials: Credentials) -> Identity | None:
    """The identity behind `credentials`, from the accounts database; None if they are missing or invalid."""
    if credentials.bearer is not None:
        return _by(digest=token_digest(credentials.bearer))
    if credentials.session_key:
        return identity_of_session(import_module(settings.SESSION_ENGINE).SessionStore(credentials.session_key))
    return None


async def identify_cached(credentials: Credentials) -> Identity | None:
    """`identify` for the event loop, cached for ACCESS_CACHE_S and purged by access changes. Raises `Unavailable`."""
    if credentials.bearer is None and not credentials.session_key:
        return None
    identity = _cache.get(credentials)
    if identity is None:
        generation = _cache.generation
        identity = await accounts_ask(identify, credentials)
        if identity is not None:
            _cache.put(credentials, identity, generation=generation)
    if identity is None or identity.is_expired():
        return None
    note_user(identity.user_id)
    return identity


def identities_still_valid(token_ids: set[int]) -> set[int]:
    """The subset of `token_ids` that is still valid."""
    valid = AccessToken.objects.filter(
        pk__in=token_ids, revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True
    )
    return set(valid.values_list("pk", flat=True))


def identity_of_token(token_id: int) -> Identity | None:
    """The identity of a token by its id (from a ticket); None if it is no longer valid."""
    return _by(pk=token_id)


def identity_of_session(session: SessionBase) -> Identity | None:
    """The identity of a browser session; None if nobody is signed in or its token is no longer valid."""
    token_id = session.get(SESSION_TOKEN_KEY)
    return _by(pk=token_id, kind=AccessToken.Kind.SESSION) if isinstance(token_id, int) else None


def _by(**lookup: object) -> Identity | None:
    token = (
        AccessToken.objects.select_related("user")
        .filter(revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True, **lookup)
        .first()
    )
    if token is None:
        return None
    note_user(token.user_id)
    scopes = scopes_of_text(token.scopes) if token.kind == AccessToken.Kind.API_KEY else EVERYTHING
    return Identity(token.user_id, token.user.username, token.pk, token.expires_at.timestamp(), scopes)
