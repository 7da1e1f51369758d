"""Identities and credentials."""

from __future__ import annotations

import time
from dataclasses import dataclass

from auth_app.scopes import EVERYTHING, TokenScope
from core.errors import Forbidden, ScopeMissing


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated user, and the token that authenticates them (a browser session has one too).

    `expires_at`: seconds since the epoch. `scopes`: the scopes of the token.
    """

    user_id: int
    username: str
    token_id: int
    expires_at: float
    scopes: frozenset[TokenScope] = EVERYTHING

    def require(self, scope: TokenScope | None) -> None:
        """Raises `ScopeMissing`, or `Forbidden` (code `api_key_not_accepted`) if no API key can have the scope."""
        if scope is None or scope in self.scopes:
            return
        if scope is TokenScope.ACCOUNT:
            raise Forbidden("API keys are not accepted here; sign in with a password.", code="api_key_not_accepted")
        raise ScopeMissing(scope)

    def is_expired(self) -> bool:
        return self.expires_at <= time.time()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a request. A bearer token takes precedence over a session cookie."""

    bearer: str | None = None
    session_key: str | None = None
