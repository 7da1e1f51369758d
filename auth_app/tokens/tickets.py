"""Tickets: single-use, short-lived credentials for browsers, which cannot set headers on a websocket."""

from __future__ import annotations

import hashlib
import secrets

from django.conf import settings

from auth_app.identify import identity_of_token
from auth_app.identity import Identity
from auth_app.limits.attempts import tickets
from auth_app.limits.counters import attempts_counted
from core.accounts import accounts_ask
from core.errors import Unavailable
from core.redis import redis_client
from telemetry.redis import RedisError, redis_client_sync

_AWAY = "Redis does not respond, so tickets are not available at this moment."


def ticket_issue(identity: Identity, *, address: str) -> str:
    """Issue a ticket for `identity`, valid once and for TICKET_LIFETIME_S.

    Raises `TooManyAttempts`, `Unavailable`.

    Redis holds the ticket's SHA-256 and the id of the token behind it, so a ticket ends with its token.
    """
    attempts_counted(*tickets(identity.user_id, address))
    ticket = secrets.token_urlsafe(32)
    try:
        redis_client_sync(settings.REDIS_URL).set(_key(ticket), identity.token_id, ex=settings.TICKET_LIFETIME_S)
    except RedisError as error:
        raise Unavailable(_AWAY) from error
    return ticket


async def ticket_redeem(ticket: str) -> Identity | None:
    """Use up `ticket` and return its identity; None if it is invalid, used or expired.

    Raises `Unavailable`.
    """
    try:
        token_id = await redis_client().getdel(_key(ticket))
    except RedisError as error:
        raise Unavailable(_AWAY) from error
    return None if token_id is None else await accounts_ask(identity_of_token, int(token_id))


def _key(ticket: str) -> str:
    return f"wattstream:ticket:{hashlib.sha256(ticket.encode(errors='replace')).hexdigest()}"
