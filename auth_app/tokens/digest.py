"""The stored form of an access token."""

from __future__ import annotations

import hashlib


def token_digest(token: str) -> str:
    """SHA-256 in hex. A token has 256 random bits, so there is no dictionary to try and a slow hash adds nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
