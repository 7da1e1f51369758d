"""Device keys, which devices show to the writer. They are derived from INGEST_SECRET, so none is stored.

A key is `wsd_<generation>.<device id>.<MAC>`. It names its device, so the writer checks key and device before it reads
a body. The MAC covers the generation, which grows when the key of a device is replaced.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

PREFIX = "wsd_"
MIN_SECRET_LENGTH = 32
# A device id may contain dots, a generation and a MAC cannot.
_KEY = re.compile(rf"{PREFIX}(0|[1-9]\d{{0,8}})\.([A-Za-z0-9_.-]{{1,64}})\.([A-Za-z0-9_-]{{43}})", re.ASCII)


class KeyOwner(NamedTuple):
    """The device that a valid key belongs to, and the generation of the key, counted from 0."""

    device_id: str
    generation: int


def device_key(secret: str, device_id: str, generation: int = 0) -> str:
    """The key of a device: the MAC is the base64url of HMAC-SHA256 (RFC 2104) over generation and device id."""
    return f"{PREFIX}{generation}.{device_id}.{_mac(secret, device_id, generation)}"


def key_owner(secret: str, key: str) -> KeyOwner | None:
    """The owner of `key`; None if the key is malformed or was not derived from `secret`. Compares in constant time.

    The caller decides whether the generation is still valid.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    owner = KeyOwner(found[2], int(found[1]))
    return owner if hmac.compare_digest(_mac(secret, *owner), found[3]) else None


def is_key_of(secret: str, device_id: str, key: str) -> bool:
    """Whether `key` is a key of `device_id`, of any generation."""
    owner = key_owner(secret, key)
    return owner is not None and owner.device_id == device_id


def _mac(secret: str, device_id: str, generation: int) -> str:
    message = f"wattstream device key 2:{generation}:{device_id}".encode()
    digest = hmac.digest(secret.encode(), message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
