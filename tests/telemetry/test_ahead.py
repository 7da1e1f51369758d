"""Readings ahead of the clock are released when their time comes, in order."""

from __future__ import annotations

import asyncio

from telemetry.ahead import Ahead
from telemetry.reading import Reading
from telemetry.times import SECOND_US, now_us
from testing.waiting import wait_until_async

FAR_US = 3_600 * SECOND_US


def reading(us: int) -> Reading:
    return Reading("ems_001", us, ())


async def released(ahead: Ahead, found: list[Reading], count: int) -> list[int]:
    async def are_released() -> bool:
        return len(found) >= count

    await wait_until_async(are_released, f"{count} readings released")
    return [reading.us for reading in found]


async def test_each_reading_waits_for_its_time() -> None:
    found: list[Reading] = []
    ahead = Ahead(found.append)
    now = now_us()
    times = [now + 300_000, now + FAR_US, now + 100_000, now - SECOND_US]
    ahead.hold(reading(us) for us in times)
    assert not found
    assert await released(ahead, found, 3) == [times[3], times[2], times[0]]
    assert now_us() >= times[0]
    assert len(ahead) == 1
    ahead.clear()
    assert len(ahead) == 0


async def test_what_is_due_is_released_at_once_on_request() -> None:
    found: list[Reading] = []
    ahead = Ahead(found.append)
    now = now_us()
    ahead.hold([reading(now + 1_000), reading(now + FAR_US)])
    while now_us() <= now + 1_000:
        pass
    ahead.release_due()
    assert [reading.us for reading in found] == [now + 1_000]
    await asyncio.sleep(0)
    ahead.clear()


async def test_beyond_the_limit_the_farthest_are_dropped() -> None:
    ahead = Ahead(lambda _: None, limit=2)
    now = now_us()
    ahead.hold(reading(now + FAR_US + index) for index in (3, 1, 2))
    assert len(ahead) == 2
    ahead.clear()
