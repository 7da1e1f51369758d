"""More readings than a slow client takes."""

from __future__ import annotations

from history_app.catalogue import CATALOGUE
from telemetry.names import live_channel
from telemetry.reading import reading_encode
from tests.chaos.site import Site
from tests.support.telemetry import now_us, reading_at

READINGS = 2_000


def flood(site: Site, device_id: str) -> list[int]:
    """Publish many readings at once, which nobody stores; their times (µs)."""
    first = now_us()
    times = [first + index for index in range(READINGS)]
    with site.redis() as redis, redis.pipeline(transaction=False) as pipeline:
        for us in times:
            pipeline.publish(live_channel(device_id), reading_encode(reading_at(device_id, us), CATALOGUE))
        pipeline.execute()
    return times
