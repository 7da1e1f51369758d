"""Parses the Authorization header's bearer credentials (RFC 6750, section 2.1)."""

from __future__ import annotations

import re

_BEARER = re.compile(r"bearer +([!-~]{1,512})", re.IGNORECASE)


def bearer_token(header: str | None) -> str | None:
    """The token in the value of an Authorization header; None if it is missing, malformed or of another scheme."""
    found = _BEARER.fullmatch(header.strip()) if header else None
    return found[1] if found else None
