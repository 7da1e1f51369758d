"""What the telemetry database has: asked now and then, remembered by the process, so that no request pays for it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from django.conf import settings

from core.catalogue import CATALOGUE
from history_app.planning.plan import KnownTier, Sources
from history_app.sql.tiers import fetch_oldest, fetch_tiers
from history_app.store.pool import Connection

# Tiers come with the schema command and are complete after a backfill; readings age out with the days.
TIERS_KNOWN_S = 30.0
OLDEST_KNOWN_S = 60.0
DEVICES_KNOWN = 10_000
RAW_ONLY = Sources(CATALOGUE.table)


@dataclass(slots=True)
class _Memory:
    """`at` are monotonic seconds."""

    tiers: tuple[KnownTier, ...] = ()
    at: float = -math.inf
    devices: dict[str, tuple[float, Sources]] = field(default_factory=dict)


_memory = _Memory()


async def sources_of(connection: Connection, device_id: str) -> Sources:
    """The tables that hold readings of a device, and how far back."""
    if not settings.HISTORY_USE_TIERS:
        return RAW_ONLY
    now = time.monotonic()
    if now - _memory.at > TIERS_KNOWN_S:
        tiers = await fetch_tiers(connection)
        if tiers != _memory.tiers:
            _memory.devices.clear()
        _memory.tiers, _memory.at = tiers, now
    if not _memory.tiers:
        return RAW_ONLY
    asked_at, sources = _memory.devices.get(device_id, (-math.inf, RAW_ONLY))
    if now - asked_at > OLDEST_KNOWN_S:
        sources = Sources(CATALOGUE.table, _memory.tiers, await fetch_oldest(connection, device_id, _memory.tiers))
        if len(_memory.devices) >= DEVICES_KNOWN:
            _memory.devices.clear()
        _memory.devices[device_id] = (now, sources)
    return sources


def sources_forget() -> None:
    """Ask again at the next request: a tier turned out to be gone."""
    _memory.at = -math.inf
    _memory.devices.clear()
