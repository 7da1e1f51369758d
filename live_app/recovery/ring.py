"""The ring of a device in Redis: its newest readings, in the order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from core.catalogue import CATALOGUE
from telemetry.names import RING_FIELD
from telemetry.reading import Reading, ReadingError, reading_decode, reading_time
from telemetry.redis import AsyncRedis, RedisError, ring_of
from telemetry.times import now_us

READ_AT_ONCE = 50  # per Redis server: after a break every device is read again, each on its own connection
_FIELD = RING_FIELD.encode()
# One per server: a server that does not answer must not delay the others.
_gates: WeakKeyDictionary[AsyncRedis, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Ring:
    """`entries`: time (µs) and published JSON of each reading, in the order of arrival. Falsy if empty.

    `ahead`: entries that were ahead of the clock. A third-party writer may add these at once; they say nothing about
    the readings before them.

    Most entries are needed for their time only, and decoding one costs three times as much: they stay encoded.
    """

    entries: Sequence[tuple[int, bytes]] = ()
    ahead: Sequence[tuple[int, bytes]] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def start(self) -> int:
        """The time (µs) of the first entry: from there on nothing is missing."""
        return self.entries[0][0]

    @property
    def newest(self) -> int:
        """The time (µs) of the newest valid reading."""
        return next(us for us, payload in sorted(self.entries, reverse=True) if _is_reading(payload))

    def newer(self, since: int) -> list[Reading]:
        """The valid readings after `since` (µs) in the order of arrival, then those ahead of the clock."""
        readings = []
        for us, payload in (*self.entries, *self.ahead):
            if us > since:
                with suppress(ReadingError):
                    readings.append(reading_decode(payload, CATALOGUE))
        return readings

    def has(self, us: int) -> bool:
        """Whether the ring holds a valid reading of this time (µs)."""
        return any(_is_reading(payload) for time, payload in self.entries if time == us)

    def late(self, since: int) -> list[int]:
        """The times (µs) before `since` that arrived after it and not before it as well. The ring must hold `since`."""
        times = [us for us, _ in self.entries]
        arrived = times.index(since)
        before = set(times[:arrived])
        return [us for us in times[arrived:] if us < since and us not in before]


async def ring_read(redis: AsyncRedis, device_id: str) -> Ring:
    """Read the ring of a device. Skips entries without a time, and all before the first valid reading.

    Raises RedisError.
    """
    found: list[tuple[bytes, dict[bytes, bytes]]]
    async with _gates.setdefault(redis, asyncio.Semaphore(READ_AT_ONCE)):
        try:
            found = await redis.xrange(ring_of(redis, device_id))  # type: ignore[assignment]
        except AttributeError as error:  # redis-py, when a client is closed while it connects
            raise RedisError("the connection was closed") from error
    entries: list[tuple[int, bytes]] = []
    for _, fields in found:
        with suppress(ReadingError, KeyError):
            payload = fields[_FIELD]
            if not entries:
                reading_decode(payload, CATALOGUE)
            entries.append((reading_time(payload, CATALOGUE), payload))
    now = now_us()
    return Ring([entry for entry in entries if entry[0] <= now], [entry for entry in entries if entry[0] > now])


def _is_reading(payload: bytes) -> bool:
    with suppress(ReadingError):
        reading_decode(payload, CATALOGUE)
        return True
    return False
