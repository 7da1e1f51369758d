"""When was a device last heard of? Asked of Redis, then of whoever else can tell (`add_source`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from telemetry.catalogue import catalogue_load
from telemetry.names import RING_FIELD
from telemetry.reading import ReadingError, reading_decode
from telemetry.redis import RedisError, redis_client_sync, ring_of
from telemetry.times import datetime_from_us

Source = Callable[[Collection[str]], Mapping[str, datetime | None]]
_CATALOGUE = catalogue_load()
logger = logging.getLogger(__name__)


def last_seen(device_ids: Collection[str]) -> dict[str, datetime | None]:
    """The time of the newest reading of each device, None where nobody knows. Never fails.

    It asks no questions about access: hand it only devices that the user may see.
    """
    seen: dict[str, datetime | None] = dict.fromkeys(device_ids)
    for source in _sources:
        missing = [device_id for device_id, moment in seen.items() if moment is None]
        if missing:
            seen.update(source(missing))
    return seen


def is_online(moment: datetime | None) -> bool:
    """Whether a device last heard of at `moment` counts as online."""
    return moment is not None and (timezone.now() - moment).total_seconds() <= settings.DEVICE_ONLINE_S


def ring_last_seen(device_ids: Collection[str]) -> dict[str, datetime | None]:
    """From the newest entry of each device's ring; None where the ring is empty or Redis is away."""
    try:
        client = redis_client_sync(settings.REDIS_URL)
        pipeline = client.pipeline(transaction=False)
        for device_id in device_ids:
            pipeline.xrevrange(ring_of(client, device_id), count=1)
        rings = pipeline.execute(raise_on_error=False)
    except RedisError as error:
        logger.warning("last_seen is not known: %s", error)
        return {}
    return {device_id: _time_of(ring) for device_id, ring in zip(device_ids, rings, strict=True)}


def _time_of(ring: object) -> datetime | None:
    """The time in `[(entry id, fields)]`; None for an empty ring, an error in its place, or an unreadable entry."""
    if not isinstance(ring, list) or not ring:
        return None
    try:
        return datetime_from_us(reading_decode(ring[0][1].get(RING_FIELD.encode(), b""), _CATALOGUE).us)
    except (ReadingError, OverflowError) as error:
        logger.warning("an entry in a ring cannot be read: %s", error)
        return None


_sources: list[Source] = [ring_last_seen]


def add_source(source: Source) -> None:
    """Ask `source` about the devices that those before it know nothing of. It must not raise."""
    _sources.append(source)
