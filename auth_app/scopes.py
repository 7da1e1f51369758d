"""Scopes of tokens. A login has all of them, an API key the ones it was created with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class TokenScope(StrEnum):
    READ = "read"  # read over HTTP: history, latest, energy, devices, shares
    LIVE = "live"  # sockets, tickets for them, event streams
    MANAGE = "manage"  # claim, change, share, transfer and release devices; read their audit log
    ACCOUNT = (
        "account"  # password, API keys, audit log of the account. No API key has it: a leaked key could create another
    )


KEY_SCOPES = (TokenScope.READ, TokenScope.LIVE, TokenScope.MANAGE)
KEY_DEFAULT_SCOPES = (TokenScope.READ, TokenScope.LIVE)
EVERYTHING = frozenset(TokenScope)


def scopes_text(scopes: Iterable[TokenScope]) -> str:
    """The stored form: each scope once, in the order of KEY_SCOPES, separated by blanks."""
    wanted = set(scopes)
    return " ".join(scope for scope in KEY_SCOPES if scope in wanted)


def scopes_of_text(text: str) -> frozenset[TokenScope]:
    """Parse the stored form. Ignores unknown names (of a later version)."""
    stored = set(text.split())
    return frozenset(scope for scope in KEY_SCOPES if scope in stored)
