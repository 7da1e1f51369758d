"""What a credential may be used for. A login may do everything, an API key what it was made for."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class TokenScope(StrEnum):
    READ = "read"  # whatever is asked over HTTP: history, latest, energy, devices, shares
    LIVE = "live"  # sockets, tickets for them, event streams
    MANAGE = "manage"  # claim, change, share, transfer and release devices; read their audit log
    ACCOUNT = "account"  # password, API keys, one's own audit log: no key has it, or a leaked one could make another


KEY_SCOPES = (TokenScope.READ, TokenScope.LIVE, TokenScope.MANAGE)
KEY_DEFAULT_SCOPES = (TokenScope.READ, TokenScope.LIVE)
EVERYTHING = frozenset(TokenScope)


def scopes_text(scopes: Iterable[TokenScope]) -> str:
    """As they are stored: each once, in the order of KEY_SCOPES, with blanks between."""
    wanted = set(scopes)
    return " ".join(scope for scope in KEY_SCOPES if scope in wanted)


def scopes_of_text(text: str) -> frozenset[TokenScope]:
    """What is stored, read again. A name that is not known (of a later version) grants nothing."""
    stored = set(text.split())
    return frozenset(scope for scope in KEY_SCOPES if scope in stored)
