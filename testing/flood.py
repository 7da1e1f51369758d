"""More readings than a slow client can receive."""

from __future__ import annotations

from collections.abc import Mapping

import redis

from core.catalogue import CATALOGUE
from telemetry.names import live_channel
from telemetry.reading import reading_encode
from testing.telemetry import now_us, reading_at

READINGS = 2_000


def flood(env: Mapping[str, str], device_id: str) -> list[int]:
    """Publish many readings to REDIS_URL without storing them. Returns their times (µs)."""
    first = now_us()
    times = [first + index for index in range(READINGS)]
    with redis.Redis.from_url(env["REDIS_URL"], socket_timeout=5) as client, client.pipeline(False) as pipeline:
        for us in times:
            pipeline.publish(live_channel(device_id), reading_encode(reading_at(device_id, us), CATALOGUE))
        pipeline.execute()
    return times
