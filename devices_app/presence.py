"""When a device last reported, and whether it is online: from Redis, then from other sources (`add_source`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from telemetry import cadence
from telemetry.catalogue import catalogue_load
from telemetry.redis import RedisError, redis_client_sync
from telemetry.ring import ring_newest_sync
from telemetry.times import datetime_from_us

# Times (µs) of the newest readings of each device, newest first; a device without any may be left out.
Source = Callable[[Collection[str]], Mapping[str, Sequence[int]]]
_CATALOGUE = catalogue_load()
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Presence:
    """`last_seen`: the time of the newest reading, None if no source knows one."""

    last_seen: datetime | None = None
    is_online: bool = False


def presence_of(device_ids: Collection[str]) -> dict[str, Presence]:
    """The presence of each device. A source that is unavailable counts as empty.

    The next source is asked about a device that is not online by those before it. A reading ahead of the clock counts
    only if the device has no other, and never as online. Access is not checked here.
    """
    now = time.time_ns() // 1000
    times: dict[str, list[int]] = {device_id: [] for device_id in device_ids}
    for source in _sources:
        unsure = [device_id for device_id, known in times.items() if not _is_online(known, now)]
        if unsure:
            for device_id, found in source(unsure).items():
                times[device_id] = cadence.merged(times[device_id], found)
    return {device_id: _presence(known, now) for device_id, known in times.items()}


def ring_times(device_ids: Collection[str]) -> Mapping[str, Sequence[int]]:
    """From the newest entries of each device's ring; nothing if Redis is unavailable."""
    asked = list(device_ids)
    try:
        rings = ring_newest_sync(redis_client_sync(settings.REDIS_URL), asked, _CATALOGUE)
    except RedisError as error:
        logger.warning("last_seen is not known: %s", error)
        return {}
    return {device_id: [reading.us for reading in readings] for device_id, readings in rings.items()}


def add_source(source: Source) -> None:
    """Ask `source` about the devices that are not online by those before it. It must not raise."""
    _sources.append(source)


def _is_online(times: Sequence[int], now: int) -> bool:
    return cadence.is_online(times, now, minimum_s=settings.DEVICE_ONLINE_S)


def _presence(times: Sequence[int], now: int) -> Presence:
    if not times:
        return Presence()
    past = [us for us in times if us <= now]
    return Presence(datetime_from_us(past[0] if past else times[0]), _is_online(times, now))


_sources: list[Source] = [ring_times]
