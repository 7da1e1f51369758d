"""The seam: which readings lie between a cursor and what the live stream brings. Ring first, then TimescaleDB.

The caller has subscribed before it asks, and holds what arrives meanwhile (`held`). So everything is in one of
three places, which overlap: TimescaleDB (which may lag the stream), the ring (the newest readings, in time order),
and `held`. The answer is complete when they join without a hole:

* the cursor's own reading is in the ring: ring and `held` alone hold everything that came after it; or
* the ring begins no later than the cursor, and TimescaleDB was asked too; or
* TimescaleDB holds a reading from the ring's beginning on: it holds all that came before it, because the writer
  stores in the order of arrival; or
* there is no ring, and the newest reading that TimescaleDB holds is among those held. Any stored one would not do: a
  reading that comes late, or again, begins the ring anew and says nothing about those that came just before it. Where
  the stream lags the store that may never be seen, so after a while the newest of those held has to be stored.

Otherwise the store has yet to catch up, and is asked again. A ring need not be read again, for `held` goes on from it.
A reading in `held` that is not newer than the cursor says nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from django.conf import settings

from core.catalogue import CATALOGUE
from core.errors import Unavailable
from history_app.answer import newest_stored, readings_after
from telemetry.names import RING_FIELD
from telemetry.reading import Reading, ReadingError, reading_decode, reading_time
from telemetry.redis import AsyncRedis, RedisError, ring_of

POLL_S = (0.2, 1.0)  # at first, and at most: after a break there are many who ask
PATIENCE_S = 1.5  # a device at 1 Hz has a ring again by then
_FIELD = RING_FIELD.encode()
# After a break everything is read anew, and each read wants a connection.
RINGS_READ_AT_ONCE = 50
STORE_READ_AT_ONCE = max(1, settings.TELEMETRY_POOL_SIZE // 2)  # the rest is for whoever asks for history


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


Ring = Sequence[tuple[int, bytes]]
_gates: WeakKeyDictionary[AsyncRedis | asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _gate(to: AsyncRedis | asyncio.AbstractEventLoop, width: int) -> asyncio.Semaphore:
    """Of each Redis server its own, for one that does not answer holds nobody else up; the loop's is to the store."""
    return _gates.setdefault(to, asyncio.Semaphore(width))


async def ring_entries(redis: AsyncRedis, device_id: str) -> Ring:
    """The ring of a device in the order of arrival: the time (µs) of each reading, and the reading as it was published.

    Most are read for their time only: to decode one costs three times as much. What has no time is left out, and what
    is no reading until the first that is one: from there on nothing is missing. Raises RedisError.
    """
    found: list[tuple[bytes, dict[bytes, bytes]]]
    async with _gate(redis, RINGS_READ_AT_ONCE):
        try:
            found = await redis.xrange(ring_of(redis, device_id))  # type: ignore[assignment]
        except AttributeError as error:  # redis-py, where a client is closed while it connects
            raise RedisError("the connection was closed meanwhile") from error
    ring: list[tuple[int, bytes]] = []
    for _, fields in found:
        with suppress(ReadingError, KeyError):
            payload = fields[_FIELD]
            if not ring:
                reading_decode(payload, CATALOGUE)
            ring.append((reading_time(payload, CATALOGUE), payload))
    return ring


async def from_now(redis: AsyncRedis, device_id: str, held: Sequence[Reading], *, since: int = -1) -> Missed:
    """Nothing, and after which reading (newer than `since`, µs) the stream begins. Raises RedisError."""
    ring = await ring_entries(redis, device_id)
    if ring:
        return Missed([], max(since, next(us for us, payload in sorted(ring, reverse=True) if _is_reading(payload))))
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
    redis: AsyncRedis,
    device_id: str,
    since: int,
    held: Sequence[Reading],
    *,
    limit: int,
    timeout_s: float,
    is_current: Callable[[], bool],
) -> Missed:
    """What came after `since` (µs). `held` may grow meanwhile; it is read anew each time round.

    Not complete where more than `limit` readings were missed, or where the store did not catch up, or was not
    reachable, within `timeout_s`: then it is what ring and stream have. Raises RedisError, also where the stream that
    `held` is of is not current any more.
    """
    ring: Ring = ()
    newer: list[Reading] = []
    begun: float | None = None
    pause_s = POLL_S[0]
    while True:
        if not ring:
            ring = await ring_entries(redis, device_id)
            newer = _newer(ring, since)
            if _has(ring, since):
                return Missed(in_order([*newer, *held], since), since, late=_late(ring, since))
        begun = begun or time.monotonic()  # not before the ring's turn, which may take a while
        stored = await _stored_after(device_id, since, limit=limit + 1, deadline=begun + timeout_s)
        if not is_current():
            raise RedisError("the stream began anew meanwhile")
        waited_s = time.monotonic() - begun
        if stored is not None:
            found = in_order([*stored, *newer, *held], since)
            if len(found) > limit:
                break
            if _is_joined(stored, ring, held, since, is_patient=waited_s < PATIENCE_S):
                return Missed(found, since, is_verified=_edge(ring, held, since) is not None)
        if waited_s > timeout_s:
            break
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_S[1])
    edge = _edge(ring, held, since)
    if edge is not None:
        after = max(since, edge - 1)
        return Missed(in_order([*newer, *held], after), after, is_complete=False)
    if stored is None:
        return Missed([], since, is_verified=False)
    return replace(await from_now(redis, device_id, held, since=since), is_complete=False)


def _is_joined(stored: Sequence[Reading], ring: Ring, held: Sequence[Reading], since: int, *, is_patient: bool) -> bool:
    """Whether nothing is missing between what is stored after `since`, and ring and stream."""
    if ring:
        return ring[0][0] <= max(since, stored[-1].us if stored else since)
    waiting = {reading.us for reading in held if reading.us > since}
    if not waiting or (stored and stored[-1].us in waiting):
        return True
    return not is_patient and max(waiting) in {reading.us for reading in stored}


async def _stored_after(device_id: str, since: int, *, limit: int, deadline: float) -> Sequence[Reading] | None:
    """What TimescaleDB has; None where it is away, or it was not this one's turn by the `deadline`."""
    gate = _gate(asyncio.get_running_loop(), STORE_READ_AT_ONCE)
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            await gate.acquire()
    except TimeoutError:
        return None
    try:
        return await readings_after(device_id, since, limit=limit)
    except Unavailable:
        return None
    finally:
        gate.release()


def _newer(ring: Ring, since: int) -> list[Reading]:
    """The readings after `since` (µs), in the order of arrival; malformed ones are left out."""
    readings = []
    for us, payload in ring:
        if us > since:
            with suppress(ReadingError):
                readings.append(reading_decode(payload, CATALOGUE))
    return readings


def _has(ring: Ring, since: int) -> bool:
    """Whether the reading of that time (µs) is in the ring, whole."""
    return any(_is_reading(payload) for us, payload in ring if us == since)


def _is_reading(payload: bytes) -> bool:
    with suppress(ReadingError):
        reading_decode(payload, CATALOGUE)
        return True
    return False


def _late(ring: Ring, since: int) -> list[int]:
    """The times (µs) before `since` that came after it, and not before it too: a reading may come twice."""
    times = [us for us, _ in ring]
    arrived = times.index(since)
    before = set(times[:arrived])
    return [us for us in times[arrived:] if us < since and us not in before]


def _edge(ring: Ring, held: Sequence[Reading], since: int) -> int | None:
    """The time (µs) from which on ring and stream have everything; None where they have nothing to tell by."""
    if ring:
        return ring[0][0]
    return next((reading.us for reading in held if reading.us > since), None)


def in_order(readings: Iterable[Reading], since: int) -> list[Reading]:
    """Those after `since`, oldest first; of several with the same time the first."""
    by_time: dict[int, Reading] = {}
    for reading in readings:
        if reading.us > since:
            by_time.setdefault(reading.us, reading)
    return [by_time[us] for us in sorted(by_time)]
