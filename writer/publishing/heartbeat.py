"""Publishes a heartbeat once per second, so that live servers detect a half-open connection to Redis."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import NoReturn

import orjson

from rollup.progress import Progress
from telemetry.names import HEARTBEAT_CHANNEL, HEARTBEAT_PERIOD_S
from telemetry.redis import AsyncRedis, RedisError
from telemetry.times import iso_from_us, now_us
from writer.metrics import Metrics
from writer.storage.store import Store

log = logging.getLogger("writer.publishing.heartbeat")


async def heartbeat(redis: AsyncRedis, store: Store, metrics: Metrics, rollup: Progress | None) -> NoReturn:
    """Publish `{"time", "writer", "stored", "queued", "rollup_lag_s"}` until cancelled.

    `writer` is this process's random id; `rollup_lag_s` is null without a rollup here, and before one has caught up.
    """
    writer = secrets.token_hex(8)
    is_failing = False
    while True:
        beat = {
            "time": iso_from_us(now_us()),
            "writer": writer,
            "stored": metrics.stored,
            "queued": len(store),
            "rollup_lag_s": rollup.lag_s if rollup else None,
        }
        try:
            await redis.publish(HEARTBEAT_CHANNEL, orjson.dumps(beat))
            is_failing = False
        except (RedisError, OSError) as error:
            if not is_failing:
                log.warning("no heartbeat: %s", error)
            is_failing = True
        await asyncio.sleep(HEARTBEAT_PERIOD_S)
