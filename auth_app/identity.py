"""Identities and credentials."""

from __future__ import annotations

import time
from dataclasses import dataclass

from auth_app.scopes import EVERYTHING, TokenScope
from core.errors import Forbidden, ScopeMissing


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated user and the token (or browser session) that says so.

    `expires_at`: seconds since the epoch. `scopes`: what the token may be used for.
    """

    user_id: int
    username: str
    token_id: int
    expires_at: float
    scopes: frozenset[TokenScope] = EVERYTHING

    def require(self, scope: TokenScope | None) -> None:
        """Raises `ScopeMissing`, or `Forbidden` (code `api_key_not_accepted`) for what no key may do."""
        if scope is None or scope in self.scopes:
            return
        if scope is TokenScope.ACCOUNT:
            raise Forbidden("An API key may not do this; sign in with a password.", code="api_key_not_accepted")
        raise ScopeMissing(scope)

    def is_expired(self) -> bool:
        return self.expires_at <= time.time()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows. A bearer token wins over a session cookie: whoever sends one means it."""

    bearer: str | None = None
    session_key: str | None = None
