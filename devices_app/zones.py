"""Valid time zones of a device."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones


@lru_cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone that this machine knows."""
    return name in _zones()
