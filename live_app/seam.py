"""The seam: which readings lie between a cursor and what the live stream brings. Ring first, then TimescaleDB.

The caller has subscribed before it asks, and holds what arrives meanwhile (`held`). So everything is in one of
three places, which overlap: TimescaleDB (which may lag the stream), the ring (the newest readings, in time order),
and `held`. The *edge* is where ring and stream begin: from it on nothing is missing in them. The answer is complete
when they join without a hole:

* the cursor's own reading is in the ring: ring and `held` alone hold everything that came after it; or
* the edge is not newer than the cursor, and TimescaleDB was asked too; or
* TimescaleDB holds a reading at or after the edge: it holds all that came before it, because the writer
  stores in the order of arrival.

Otherwise the store has yet to catch up, and is asked again. A reading in `held` that is not newer than the cursor says
nothing: it may have come late, or again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from asgi_project.errors import Unavailable
from history_app.catalogue import CATALOGUE
from history_app.service import newest_stored, readings_after
from telemetry.names import RING_FIELD
from telemetry.reading import Reading, ReadingError, reading_decode
from telemetry.redis import AsyncRedis, RedisError, ring_of

POLL_S = 0.2
RINGS_READ_AT_ONCE = 50  # after a break everything is read anew, and each read wants a connection


@dataclass(frozen=True, slots=True)
class Missed:
    """`readings` newer than `after` (µs), oldest first, each time once; what is held follows them without a hole.

    `is_complete`: `after` is the cursor that was asked for; else readings between the two are missing. `is_verified`:
    the joint was seen; False where neither ring nor stream had anything to compare with, so that the next live
    reading has to be checked against the store. `after` None: it is not known what there is. `late`: times (µs) not
    newer than the cursor that arrived after it, as far as the ring remembers; they are not among `readings`.
    """

    readings: Sequence[Reading]
    after: int | None
    is_complete: bool = True
    is_verified: bool = True
    late: Sequence[int] = ()


_gates: WeakKeyDictionary[AsyncRedis, asyncio.Semaphore] = WeakKeyDictionary()


def _gate(redis: AsyncRedis) -> asyncio.Semaphore:
    """Of each server its own: one that does not answer holds nobody else up."""
    return _gates.setdefault(redis, asyncio.Semaphore(RINGS_READ_AT_ONCE))


async def ring_readings(redis: AsyncRedis, device_id: str) -> list[Reading]:
    """The ring of a device in the order of arrival; malformed entries are left out. Raises RedisError."""
    entries: list[tuple[bytes, dict[bytes, bytes]]]
    async with _gate(redis):
        try:
            entries = await redis.xrange(ring_of(redis, device_id))  # type: ignore[assignment]
        except AttributeError as error:  # redis-py, where a client is closed while it connects
            raise RedisError("the connection was closed meanwhile") from error
    readings = []
    for _, fields in entries:
        try:
            readings.append(reading_decode(fields[RING_FIELD.encode()], CATALOGUE))
        except (ReadingError, KeyError):
            continue
    return readings


async def from_now(redis: AsyncRedis, device_id: str, held: Sequence[Reading], *, since: int = -1) -> Missed:
    """Nothing, and after which reading (newer than `since`, µs) the stream begins. Raises RedisError."""
    ring = await ring_readings(redis, device_id)
    if ring:
        return Missed([], max(since, *(reading.us for reading in ring)))
    try:
        stored = await newest_stored(device_id) or 0
    except Unavailable:
        stored = None
    edge = _edge([], held, since)
    if edge is not None:
        return Missed([], edge - 1)
    if stored is None:
        return Missed([], since if since >= 0 else None)
    return Missed([], max(since, stored), is_verified=since < 0)  # who wants only what is new need not wait for it


async def missed_since(
    redis: AsyncRedis, device_id: str, since: int, held: Sequence[Reading], *, limit: int, timeout_s: float
) -> Missed:
    """What came after `since` (µs). `held` may grow meanwhile; it is read anew each time round.

    Not complete where more than `limit` readings were missed, or where the store did not catch up, or was not
    reachable, within `timeout_s`: then it is what ring and stream have. Raises RedisError.
    """
    deadline: float | None = None
    while True:
        ring = await ring_readings(redis, device_id)
        deadline = deadline or time.monotonic() + timeout_s  # not before it was its turn
        if any(reading.us == since for reading in ring):
            return Missed(in_order([*ring, *held], since), since, late=_late(ring, since))
        try:
            stored = await readings_after(device_id, since, limit=limit + 1)
        except Unavailable:
            stored = None
        edge = _edge(ring, held, since)
        if stored is not None:
            found = in_order([*stored, *ring, *held], since)
            if len(found) > limit:
                break
            if edge is None or edge <= since or (stored and stored[-1].us >= edge):
                return Missed(found, since, is_verified=edge is not None)
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL_S)
    if edge is not None:
        return Missed(in_order([*ring, *held], edge - 1), edge - 1, is_complete=False)
    if stored is None:
        return Missed([], since, is_verified=False)
    return replace(await from_now(redis, device_id, held, since=since), is_complete=False)


def _late(ring: Sequence[Reading], since: int) -> list[int]:
    """The times (µs) before `since` that came after it, and not before it too: a reading may come twice."""
    times = [reading.us for reading in ring]
    arrived = times.index(since)
    before = set(times[:arrived])
    return [us for us in times[arrived:] if us < since and us not in before]


def _edge(ring: Sequence[Reading], held: Sequence[Reading], since: int) -> int | None:
    """The time (µs) from which on ring and stream have everything; None where they have nothing to tell by."""
    if ring:
        return ring[0].us
    return next((reading.us for reading in held if reading.us > since), None)


def in_order(readings: Iterable[Reading], since: int) -> list[Reading]:
    """Those after `since`, oldest first; of several with the same time the first."""
    by_time: dict[int, Reading] = {}
    for reading in readings:
        if reading.us > since:
            by_time.setdefault(reading.us, reading)
    return [by_time[us] for us in sorted(by_time)]
