"""Claim codes: shown once, entered by the person who receives the device."""

from __future__ import annotations

import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no characters that look alike
_READS_AS = str.maketrans("OIL", "011", "- ")


def claim_code_make() -> str:
    """100 random bits as four groups of five, e.g. `7K2QX-M94TD-0ZB8N-WJ3RH`."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(20))
    return "-".join(code[start : start + 5] for start in range(0, 20, 5))


def claim_code_digest(code: str) -> str:
    """SHA-256 of the normalised code: without hyphens and blanks, in upper case, O as 0, I and L as 1."""
    return hashlib.sha256(code.upper().translate(_READS_AS).encode()).hexdigest()
