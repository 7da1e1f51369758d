"""The seam: which readings lie between a cursor and what the live stream brings. Ring first, then TimescaleDB.

The caller has subscribed before it asks, and holds what arrives meanwhile (`held`). So everything is in one of
three places, which overlap: TimescaleDB (which may lag the stream), the ring (the newest readings, in the order of
their arrival), and `held`. The answer is complete when these join without a hole:

* the cursor's own reading is in the ring or in `held`: they alone hold everything that came after it; or
* the oldest entry of ring and `held` is not newer than the cursor, and TimescaleDB was asked too; or
* TimescaleDB holds a reading at or after that oldest entry: it holds all that came before it, because the writer
  stores in the order of arrival.

Otherwise the store has yet to catch up, and is asked again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asgi_project.errors import Unavailable
from history_app.catalogue import CATALOGUE
from history_app.service import newest_stored, readings_after
from telemetry.names import RING_FIELD, ring_key
from telemetry.reading import Reading, ReadingError, reading_decode
from telemetry.redis import AsyncRedis

POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Missed:
    """`readings` after the cursor, oldest first, each time once.

    `is_complete`: nothing between them is missing. `is_verified`: that was seen; False where neither ring nor stream
    had anything to compare with, so that the next live reading has to be checked against the store.
    """

    readings: Sequence[Reading]
    is_complete: bool
    is_verified: bool = True


async def ring_readings(redis: AsyncRedis, device_id: str) -> list[Reading]:
    """The ring of a device in the order of arrival; malformed entries are left out. Raises RedisError."""
    entries: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(ring_key(device_id))  # type: ignore[assignment]
    readings = []
    for _, fields in entries:
        try:
            readings.append(reading_decode(fields[RING_FIELD.encode()], CATALOGUE))
        except (ReadingError, KeyError):
            continue
    return readings


async def newest_known(redis: AsyncRedis, device_id: str) -> int | None:
    """µs of the newest reading in the ring, or where that is empty in TimescaleDB. Raises RedisError, Unavailable."""
    ring = await ring_readings(redis, device_id)
    if ring:
        return max(reading.us for reading in ring)
    return await newest_stored(device_id)


async def missed_since(
    redis: AsyncRedis, device_id: str, since: int, held: Sequence[Reading], *, limit: int, timeout_s: float
) -> Missed:
    """What came after `since` (µs). `held` may grow meanwhile; it is read anew each time round.

    Not complete where more than `limit` readings were missed, or where the store did not catch up, or was not
    reachable, within `timeout_s`. Raises RedisError.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        ring = await ring_readings(redis, device_id)
        recent = [*ring, *held]
        if any(reading.us == since for reading in recent):
            return _limited(in_order(recent, since), limit)
        try:
            stored = await readings_after(device_id, since, limit=limit + 1)
        except Unavailable:
            stored = None
        if stored is not None:
            recent = [*ring, *held]
            found = in_order([*stored, *recent], since)
            if len(found) > limit or not recent:
                return _limited(found, limit, is_verified=bool(recent))
            edge = recent[0].us
            if edge <= since or (stored and stored[-1].us >= edge):
                return Missed(found, is_complete=True)
        if time.monotonic() > deadline:
            return Missed(in_order([*(stored or []), *recent], since), is_complete=False)
        await asyncio.sleep(POLL_S)


def in_order(readings: Iterable[Reading], since: int) -> list[Reading]:
    """Those after `since`, oldest first; of several with the same time the first."""
    by_time: dict[int, Reading] = {}
    for reading in readings:
        if reading.us > since:
            by_time.setdefault(reading.us, reading)
    return [by_time[us] for us in sorted(by_time)]


def _limited(found: list[Reading], limit: int, *, is_verified: bool = True) -> Missed:
    if len(found) > limit:
        return Missed([], is_complete=False)
    return Missed(found, is_complete=True, is_verified=is_verified)
