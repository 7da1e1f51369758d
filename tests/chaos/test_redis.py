"""Redis fails in several ways; no reading is lost, duplicated or out of order."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.drama import Drama
from tests.chaos.services import REDIS

pytestmark = pytest.mark.processes

PAUSE_S = 10


async def test_connections_are_killed_repeatedly(act: Drama) -> None:
    for _ in range(4):
        with act.site.redis() as redis:
            for kind in ("pubsub", "normal"):
                redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        await act.flow(act.chance.randint(1, 8))
    await act.settle()


async def test_redis_is_paused_for_ten_seconds(act: Drama) -> None:
    with act.site.services.paused(REDIS):
        await asyncio.sleep(PAUSE_S)
    await act.flow()
    await act.settle()


async def test_redis_is_killed_and_restarted_empty(act: Drama) -> None:
    act.site.services.kill(REDIS)
    await act.flow(5)
    await asyncio.to_thread(act.site.services.start)
    await act.flow()
    await act.settle()
