"""Device keys: what a device shows the writer. Derived from INGEST_SECRET, so nothing about them is stored."""

from __future__ import annotations

import base64
import hashlib
import hmac

PREFIX = "wsd_"
MIN_SECRET_LENGTH = 32


def device_key(secret: str, device_id: str) -> str:
    """The key of `device_id`: `wsd_` and the base64url of HMAC-SHA256 (RFC 2104) of the id under the secret."""
    digest = hmac.new(secret.encode(), b"wattstream device key 1:" + device_id.encode(), hashlib.sha256).digest()
    return PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_key_of(secret: str, device_id: str, key: str) -> bool:
    """Whether `key` belongs to `device_id`, compared in constant time."""
    return hmac.compare_digest(device_key(secret, device_id).encode(), key.encode())
