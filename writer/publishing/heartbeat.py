"""The heartbeat: once a second, so that live servers notice a connection to Redis that is open and dead."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import NoReturn

import orjson

from telemetry.names import HEARTBEAT_CHANNEL, HEARTBEAT_PERIOD_S
from telemetry.redis import AsyncRedis, RedisError
from telemetry.times import iso_from_us
from writer.metrics import Metrics
from writer.storage.store import Store

log = logging.getLogger("writer.publishing.heartbeat")


async def heartbeat(redis: AsyncRedis, store: Store, metrics: Metrics) -> NoReturn:
    """Publish `{"time", "writer", "stored", "queued"}` until cancelled; `writer` is this process's random id."""
    writer = secrets.token_hex(8)
    is_failing = False
    while True:
        beat = {"time": iso_from_us(now_us()), "writer": writer, "stored": metrics.stored, "queued": len(store)}
        try:
            await redis.publish(HEARTBEAT_CHANNEL, orjson.dumps(beat))
            is_failing = False
        except (RedisError, OSError) as error:
            if not is_failing:
                log.warning("no heartbeat: %s", error)
            is_failing = True
        await asyncio.sleep(HEARTBEAT_PERIOD_S)


def now_us() -> int:
    """The clock: microseconds since the epoch."""
    return time.time_ns() // 1000
