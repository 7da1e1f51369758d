"""The newest readings in the rings: what the writer leaves in Redis beside the stream."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core.catalogue import CATALOGUE
from telemetry.names import RING_FIELD
from telemetry.reading import Reading, ReadingError, reading_decode
from telemetry.redis import AsyncRedis, ring_of

# A ring is in the order of arrival; this many of its last entries are looked at for the newest in time.
ENTRIES_LOOKED_AT = 10
logger = logging.getLogger(__name__)


async def ring_newest(redis: AsyncRedis, device_ids: Sequence[str]) -> dict[str, Reading]:
    """The newest reading in each device's ring, in one round trip; devices with an empty ring are left out.

    A ring that cannot be read counts as empty. Raises RedisError when Redis is away.
    """
    pipeline = redis.pipeline(transaction=False)
    for device_id in device_ids:
        pipeline.xrevrange(ring_of(redis, device_id), count=ENTRIES_LOOKED_AT)
    rings = await pipeline.execute(raise_on_error=False)
    newest = {device_id: _newest(ring) for device_id, ring in zip(device_ids, rings, strict=True)}
    return {device_id: reading for device_id, reading in newest.items() if reading is not None}


def _newest(ring: object) -> Reading | None:
    """Of `[(entry id, fields), …]`; None where an error stands in its place."""
    if not isinstance(ring, list):
        logger.warning("a ring cannot be read: %s", ring)
        return None
    readings = []
    for _, fields in ring:
        try:
            readings.append(reading_decode(fields[RING_FIELD.encode()], CATALOGUE))
        except (ReadingError, KeyError) as error:
            logger.warning("an entry in a ring cannot be read: %s", error)
    return max(readings, key=lambda reading: reading.us, default=None)
