"""Which readings lie between a cursor and the live stream. Asks the ring first, then TimescaleDB.

The caller has subscribed before it asks, and buffers the stream meanwhile (`held`). So every reading is in at least
one of three overlapping sources: TimescaleDB, which may lag behind the stream; the ring, with the newest readings; and
the buffer. The result is complete when the sources join without a hole. That is the case if

* the ring holds the cursor's own reading: ring and buffer alone hold everything after it; or
* the ring starts no later than the cursor, and TimescaleDB was asked too; or
* TimescaleDB holds a reading from the start of the ring on: it then holds everything before, because the writer stores
  readings in the order of arrival; or
* there is no ring, and the newest stored reading is in the buffer. Another stored reading does not suffice: a late or
  repeated reading restarts the ring and says nothing about the readings just before it. If the stream lags behind the
  database this may never happen, so after a while it suffices that the newest buffered reading is stored.

Otherwise TimescaleDB has yet to catch up, and is asked again. The ring is read only once, because the buffer continues
it. A buffered reading that is not newer than the cursor proves nothing.

A reading ahead of the clock proves nothing either, and no cursor or position is ever ahead of the clock. Such readings
are returned separately, for the feed to hold until their time has come.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.errors import Unavailable
from live_app.recovery.ring import Ring, ring_read
from telemetry.names import RING_LENGTH
from telemetry.reading import Reading
from telemetry.redis import AsyncRedis, RedisError
from telemetry.times import now_us

POLL_S = (0.2, 1.0)  # first and longest pause: after a break, many ask at once
PATIENCE_S = 1.5  # by then a device at 1 Hz has a ring again
AHEAD_TIMEOUT_S = 1.0  # a client that wants only new readings waits no longer for those ahead of the clock


class StoredReadings(Protocol):
    """What TimescaleDB holds (stored.py)."""

    async def newest(self, device_id: str, before: int) -> int | None:
        """The time (µs) of the newest reading before `before` (µs), None without one. Raises `Unavailable`."""

    async def after(self, device_id: str, since: int, *, limit: int, deadline: float) -> Sequence[Reading] | None:
        """The readings after `since` (µs), oldest first, at most `limit`; None if there was no answer by `deadline`."""


@dataclass(frozen=True, slots=True)
class Missed:
    """`readings` newer than `after` (µs), oldest first, each time once. The buffer continues them without a hole.

    `after`: None if nothing is known about earlier readings. `is_complete`: `after` is the requested cursor; otherwise
    readings between the two are missing. `is_verified`: ring or buffer showed the join; otherwise the next live reading
    must be checked against TimescaleDB. `late`: times (µs) not newer than the cursor that arrived after it, as far back
    as the ring reaches; they are not in `readings`. `ahead`: the readings after those that are ahead of the clock.
    """

    readings: Sequence[Reading]
    after: int | None
    is_complete: bool = True
    is_verified: bool = True
    late: Sequence[int] = ()
    ahead: Sequence[Reading] = ()


async def from_now(
    redis: AsyncRedis, database: StoredReadings, device_id: str, held: Sequence[Reading], *, since: int = -1
) -> Missed:
    """Find the reading (newer than `since`, µs) after which the stream starts. Raises RedisError."""
    ring = await ring_read(redis, device_id)
    if ring:
        newest = ring.newest
        return Missed([], max(since, newest), ahead=ring.newer(newest))
    ahead: Sequence[Reading] = ring.newer(since)
    try:
        now = now_us()
        stored = await database.newest(device_id, now) or 0
        deadline = time.monotonic() + AHEAD_TIMEOUT_S
        ahead = await database.after(device_id, now, limit=RING_LENGTH, deadline=deadline) or ahead
    except Unavailable:
        stored = None
    start = _start(ring, held, since)
    if start is not None:
        return Missed([], start - 1, ahead=ahead)
    if stored is None:
        return Missed([], since if since >= 0 else None, ahead=ahead)
    # A client that wants only new readings does not wait for the check.
    return Missed([], max(since, stored), is_verified=since < 0, ahead=ahead)


async def missed_since(
    redis: AsyncRedis,
    database: StoredReadings,
    device_id: str,
    since: int,
    held: Sequence[Reading],
    *,
    limit: int,
    timeout_s: float,
    is_current: Callable[[], bool],
) -> Missed:
    """Find the readings after `since` (µs). `held` may grow meanwhile and is read again in each attempt.

    Incomplete if more than `limit` readings were missed, or if TimescaleDB did not catch up or answer within
    `timeout_s`: the result is then what ring and buffer hold. Raises RedisError, also if the stream broke meanwhile,
    which `is_current` tells.
    """
    ring = Ring()
    newer: list[Reading] = []
    begun: float | None = None
    pause_s = POLL_S[0]
    while True:
        if not ring:
            ring = await ring_read(redis, device_id)
            newer = ring.newer(since)
            if ring.has(since):
                due, ahead = split([*newer, *held], since)
                return Missed(due, since, late=ring.late(since), ahead=ahead)
        begun = begun or time.monotonic()  # after the ring, whose turn may take a while
        stored = await database.after(device_id, since, limit=limit + 1, deadline=begun + timeout_s)
        if not is_current():
            raise RedisError("the stream restarted")
        waited_s = time.monotonic() - begun
        if stored is not None:
            found, ahead = split([*stored, *newer, *held], since)
            if len(found) > limit:
                break
            if _is_joined(split(stored, since)[0], ring, held, since, is_patient=waited_s < PATIENCE_S):
                return Missed(found, since, is_verified=_start(ring, held, since) is not None, ahead=ahead)
        if waited_s > timeout_s:
            break
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_S[1])
    start = _start(ring, held, since)
    if start is not None:
        after = max(since, start - 1)
        due, ahead = split([*newer, *held], after)
        return Missed(due, after, is_complete=False, ahead=ahead)
    if stored is None:
        return Missed([], since, is_verified=False)
    return replace(await from_now(redis, database, device_id, held, since=since), is_complete=False)


def in_order(readings: Iterable[Reading], since: int) -> list[Reading]:
    """The readings after `since` (µs), oldest first. The first of several with the same time."""
    by_time: dict[int, Reading] = {}
    for reading in readings:
        if reading.us > since:
            by_time.setdefault(reading.us, reading)
    return [by_time[us] for us in sorted(by_time)]


def split(readings: Iterable[Reading], since: int) -> tuple[list[Reading], list[Reading]]:
    """`in_order` of the readings that are not ahead of the clock, and of those that are."""
    found = in_order(readings, since)
    due = bisect_right(found, now_us(), key=lambda reading: reading.us)
    return found[:due], found[due:]


def _is_joined(stored: Sequence[Reading], ring: Ring, held: Sequence[Reading], since: int, *, is_patient: bool) -> bool:
    """Whether nothing is missing between the readings stored after `since`, and ring and buffer."""
    if ring:
        return ring.start <= max(since, stored[-1].us if stored else since)
    waiting = {reading.us for reading in held if reading.us > since}
    if not waiting or (stored and stored[-1].us in waiting):
        return True
    return not is_patient and max(waiting) in {reading.us for reading in stored}


def _start(ring: Ring, held: Sequence[Reading], since: int) -> int | None:
    """The time (µs) from which ring and buffer hold everything. None if both are empty."""
    if ring:
        return ring.start
    return next((reading.us for reading in held if reading.us > since), None)
