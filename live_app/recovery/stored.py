"""Stored readings for streams that join or broke: each user has a fair share of TimescaleDB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from django.conf import settings

from core.errors import Unavailable
from core.fair import FairGate, FairRate
from history_app.backlog import newest_stored, readings_after
from telemetry.reading import Reading

JOINS_WAITING_PER_USER = settings.LIVE_SOCKETS_PER_USER * 10
STORE_AT_ONCE = max(1, settings.TELEMETRY_POOL_SIZE // 2)  # the rest of the pool stays free for history requests
# Stored readings that a user may replay. A gateway with 200 devices at 1 Hz may be away for four minutes at once.
REPLAYED_BURST = 50_000
REPLAYED_PER_SECOND = 25_000


class Database:
    """The `StoredReadings` of missed.py. One instance per event loop."""

    def __init__(self) -> None:
        self._gate = FairGate(
            at_once=STORE_AT_ONCE, per_user=max(1, STORE_AT_ONCE - 1), waiting_per_user=JOINS_WAITING_PER_USER
        )
        self._rate = FairRate(burst=REPLAYED_BURST, per_second=REPLAYED_PER_SECOND)

    async def newest(self, device_id: str, before: int) -> int | None:
        """The time (µs) of the newest reading before `before` (µs), None without one. Raises `Unavailable`."""
        return await newest_stored(device_id, before)

    async def after(self, device_id: str, since: int, *, limit: int, deadline: float) -> Sequence[Reading] | None:
        """The readings after `since` (µs), oldest first, at most `limit`.

        None if TimescaleDB is unavailable, or if until the `deadline` (monotonic seconds) it was busy with other
        devices or this user had used up its share.
        """
        try:
            async with AsyncExitStack() as turn:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._enter(turn)
                found = await readings_after(device_id, since, limit=limit)
                self._rate.charge(len(found))
                return found
        except (TimeoutError, Unavailable):
            return None

    async def _enter(self, turn: AsyncExitStack) -> None:
        """Hold a slot of the gate. A task that waits for the rate holds none."""
        while True:
            await turn.enter_async_context(self._gate.turn())
            wait_s = self._rate.wait_s()
            if not wait_s:
                return
            await turn.aclose()
            await asyncio.sleep(wait_s)
