"""The sources of each device, cached by the process for a while, so that few requests read them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from core.bounded import BoundedDict
from history_app.planning.sources import KnownTier, Sources
from history_app.planning.window import EARLIEST_US
from history_app.sql.sources import fetch_devices, fetch_tables
from history_app.store.connection import Connection

# Tiers come with the schema command, the floor rises when chunks are dropped.
TABLES_KNOWN_S = 10.0
DEVICE_KNOWN_S = 60.0
# A device with few readings may have just begun to report.
NEW_DEVICE_KNOWN_S = 1.0
DEVICES_KNOWN = 10_000


@dataclass(slots=True)
class _Tables:
    tiers: tuple[KnownTier, ...] = ()
    floor: int = EARLIEST_US
    until: float = -math.inf


_tables = _Tables()
# By device: until when (monotonic seconds) and what.
_devices: BoundedDict[str, tuple[float, Sources]] = BoundedDict(DEVICES_KNOWN)


async def sources_of(connection: Connection, device_ids: Sequence[str], now: int) -> list[Sources]:
    """The sources of each device, in their order. `now`: µs."""
    clock = time.monotonic()
    if clock > _tables.until:
        tiers, floor = await fetch_tables(connection) if settings.HISTORY_USE_TIERS else ((), EARLIEST_US)
        if (tiers, floor) != (_tables.tiers, _tables.floor):
            _devices.clear()
        _tables.tiers, _tables.floor, _tables.until = tiers, floor, clock + TABLES_KNOWN_S
    unknown = [device_id for device_id in device_ids if _devices.get(device_id, _UNKNOWN)[0] <= clock]
    if unknown:
        for device_id, found in (await fetch_devices(connection, unknown, _tables.tiers, _tables.floor, now)).items():
            lifetime_s = NEW_DEVICE_KNOWN_S if found.period_s is None else DEVICE_KNOWN_S
            _devices[device_id] = clock + lifetime_s, found
    return [_devices[device_id][1] for device_id in device_ids]


def sources_forget() -> None:
    """Read everything again at the next request. Called when a tier no longer exists."""
    _tables.until = -math.inf
    _devices.clear()


_UNKNOWN = (-math.inf, Sources())
