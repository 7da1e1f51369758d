"""How ring, stream and database join. Calls the seam directly: over a socket, the moments are too short to hit."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

import pytest

from history_app.store.pool import pool_close
from live_app.recovery.missed import Missed, from_now, missed_since
from live_app.recovery.stored import Database
from telemetry.names import RING_FIELD
from telemetry.reading import Reading
from telemetry.redis import AsyncRedis, redis_close, redis_connect, ring_of
from telemetry.times import SECOND_US
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store

NOT_YET_S = 0.5


@pytest.fixture
async def redis(stack: Stack) -> AsyncIterator[AsyncRedis]:
    client = redis_connect(stack.env["REDIS_URL"])
    yield client
    await redis_close(client)
    await pool_close()


@pytest.fixture
def readings() -> list[Reading]:
    return readings_each_second(f"joint_{secrets.token_hex(4)}", now_us() - 100 * SECOND_US, 14)


def asked(redis: AsyncRedis, since: Reading, held: Sequence[Reading]) -> asyncio.Task[Missed]:
    return asyncio.create_task(
        missed_since(
            redis, Database(), since.device_id, since.us, held, limit=100, timeout_s=20, is_current=lambda: True
        )
    )


async def is_waiting(asking: asyncio.Task[Missed]) -> bool:
    await asyncio.wait([asking], timeout=NOT_YET_S)
    return not asking.done()


async def test_a_late_reading_does_not_prove_the_readings_before_it(
    stack: Stack, redis: AsyncRedis, readings: list[Reading]
) -> None:
    """6 to 12 were published, 10 is stored. A late reading has emptied the ring and is alone in the buffer."""
    late = readings[8]._replace(us=readings[8].us + SECOND_US // 2)
    store(stack, readings[:11])
    held = [late]
    asking = asked(redis, readings[5], held)
    assert await is_waiting(asking)
    publish(stack, readings[13:])
    held.append(readings[13])
    assert await is_waiting(asking)
    store(stack, [*readings[11:13], late, readings[13]])
    missed = await asking
    assert missed.is_complete
    assert missed.is_verified
    assert [reading.us for reading in missed.readings] == sorted(reading.us for reading in [*readings[6:], late])


async def test_a_stream_that_always_lags_the_database_joins_after_a_while(
    stack: Stack, redis: AsyncRedis, readings: list[Reading]
) -> None:
    """A third-party writer without rings that publishes readings some time after storing them."""
    store(stack, readings)
    missed = await asked(redis, readings[5], readings[9:11])
    assert missed.is_complete
    assert [reading.us for reading in missed.readings] == [reading.us for reading in readings[6:]]


async def test_invalid_entries_at_the_start_of_a_ring_are_skipped(
    stack: Stack, redis: AsyncRedis, readings: list[Reading]
) -> None:
    store(stack, readings[:11])
    ring = ring_of(redis, readings[0].device_id)
    await redis.xadd(ring, {RING_FIELD: b'{"device_id": "no id", "time": "2000-01-01T00:00:00.000Z"}'})
    publish(stack, readings[13:])
    asking = asked(redis, readings[5], [])
    assert await is_waiting(asking)
    store(stack, readings[11:])
    missed = await asking
    assert [reading.us for reading in missed.readings] == [reading.us for reading in readings[6:]]


async def test_an_invalid_entry_is_not_the_newest_reading(
    stack: Stack, redis: AsyncRedis, readings: list[Reading]
) -> None:
    publish(stack, readings)
    ring = ring_of(redis, readings[0].device_id)
    await redis.xadd(ring, {RING_FIELD: b'{"device_id": "no id", "time": "2099-01-01T00:00:00.000Z"}'})
    assert (await from_now(redis, Database(), readings[0].device_id, [])).after == readings[-1].us
