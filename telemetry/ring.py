"""The newest readings in the rings: what the writer leaves in Redis next to the live stream.

A ring is in the order of arrival, and a device may send old readings late or readings ahead of the clock. So the last
entries are read and sorted by time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import redis

from telemetry.catalogue import Catalogue
from telemetry.names import RING_FIELD
from telemetry.reading import Reading, ReadingError, reading_decode
from telemetry.redis import AsyncRedis, ring_of

ENTRIES_READ = 12
_FIELD = RING_FIELD.encode()
logger = logging.getLogger(__name__)


async def ring_newest(client: AsyncRedis, device_ids: Sequence[str], catalogue: Catalogue) -> dict[str, list[Reading]]:
    """The newest readings in the ring of each device, newest first, in one round trip.

    Entries that cannot be read are skipped, devices without a valid entry are left out. Raises RedisError.
    """
    pipeline = client.pipeline(transaction=False)
    for device_id in device_ids:
        pipeline.xrevrange(ring_of(client, device_id), count=ENTRIES_READ)
    return _newest(device_ids, await pipeline.execute(raise_on_error=False), catalogue)


def ring_newest_sync(client: redis.Redis, device_ids: Sequence[str], catalogue: Catalogue) -> dict[str, list[Reading]]:
    """`ring_newest` for threads."""
    pipeline = client.pipeline(transaction=False)
    for device_id in device_ids:
        pipeline.xrevrange(ring_of(client, device_id), count=ENTRIES_READ)
    return _newest(device_ids, pipeline.execute(raise_on_error=False), catalogue)


def _newest(device_ids: Sequence[str], rings: Sequence[Any], catalogue: Catalogue) -> dict[str, list[Reading]]:
    """`rings`: `[(entry id, fields), …]` of each device, or an error in its place."""
    found: dict[str, list[Reading]] = {}
    for device_id, ring in zip(device_ids, rings, strict=True):
        if not isinstance(ring, list):
            logger.warning("a ring cannot be read: %s", ring)
            continue
        readings: dict[int, Reading] = {}
        for _, fields in ring:
            try:
                reading = reading_decode(fields[_FIELD], catalogue)
            except (ReadingError, KeyError) as error:
                logger.warning("an entry in a ring cannot be read: %s", error)
                continue
            readings.setdefault(reading.us, reading)
        if readings:
            found[device_id] = [readings[us] for us in sorted(readings, reverse=True)]
    return found
