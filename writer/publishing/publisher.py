"""Publishes readings: each goes into the ring and onto the live channel of its device, in order.

The publisher does not wait for the store, nor the store for the publisher. It keeps two promises to the live servers:

No reading is skipped. A failed pipeline is repeated, in order, before anything newer. A lost connection to Redis, here
or at a live server, may also have lost readings that were published but are not in TimescaleDB yet. After a reconnect,
every reading that is not stored yet is therefore published again, so that a live server that refills from TimescaleDB
receives the rest. Live servers see some readings twice and drop those that are not newer.

A ring has no hidden hole. It is emptied (DEL) whenever readings of its device may be missing in it: at the first
reading of a device after start or reconnect, after an error reply, after an overflow of the queue, and at a late
reading, which is older than one already published. A late reading is published but not added. So a ring is always in
time order, and TimescaleDB has what is older than its first entry. Where readings may be missing in the stream as well
(in all these cases except the late reading), the device id is published first, and live servers refill. A writer that
was killed may have stored readings that were never published.

A time is published once. A reading that repeats, completes or corrects a published one is stored only: it leaves no
hole, so the ring stays. A correction of a time that is no longer remembered is treated as a late reading.

A reading ahead of the clock is offered when its time has come (`Lanes`).

In a cluster, everything about a device goes to the node that holds it; the device id goes to its live channel.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from telemetry.backoff import Backoff
from telemetry.catalogue import Catalogue
from telemetry.names import BREAK_CHANNEL, RING_FIELD, RING_LENGTH, device_of, live_channel, ring_key
from telemetry.reading import Reading, reading_encode
from telemetry.redis import RedisError
from telemetry.redis_url import redis_address
from writer.metrics import Metrics
from writer.publishing.pipe import Command, pipe_to

log = logging.getLogger("writer.publishing.publisher")

PIPELINE_READINGS = 500
# Per device, at least and at most twice as many: 5 minutes at 1 Hz.
KEPT_TIMES = 300
DRAIN_S = 2.0


class Rings:
    """Which readings were published over this connection: per device, the times of the newest ones.

    A time that is no longer remembered counts as new.
    """

    def __init__(self, *, is_cluster: bool) -> None:
        self._is_cluster = is_cluster
        self._publish = "SPUBLISH" if is_cluster else "PUBLISH"
        self._published_us: dict[str, array[int]] = {}  # ascending; 8 bytes per time

    def is_published(self, reading: Reading) -> bool:
        """Whether a reading of this time was published: then this one repeats, completes or corrects it."""
        times = self._published_us.get(reading.device_id)
        return times is not None and reading.us <= times[-1] and times[bisect_left(times, reading.us)] == reading.us

    def commands(self, reading: Reading, payload: bytes) -> Iterator[Command]:
        """The commands for a reading whose time was not published yet.

        XADD comes before PUBLISH: a live server whose subscription begins after the PUBLISH reads the ring after the
        XADD.
        """
        key = ring_key(reading.device_id, is_cluster=self._is_cluster)
        channel = live_channel(reading.device_id, is_cluster=self._is_cluster)
        times = self._published_us.get(reading.device_id)
        if times is None:
            self._published_us[reading.device_id] = array("q", (reading.us,))
            yield "DEL", key
            yield self._publish, channel if self._is_cluster else BREAK_CHANNEL, reading.device_id
        elif reading.us > times[-1]:
            times.append(reading.us)
        else:
            insort(times, reading.us)
            yield "DEL", key
            yield self._publish, channel, payload
            return
        yield "XADD", key, "MAXLEN", "~", RING_LENGTH, "*", RING_FIELD, payload
        yield self._publish, channel, payload
        if times is not None and len(times) >= 2 * KEPT_TIMES:
            del times[:KEPT_TIMES]

    def distrust(self, device_ids: Iterable[str] | None = None) -> None:
        """Empty the rings of these devices, or of all, before anything is added to them again."""
        if device_ids is None:
            self._published_us.clear()
        for device_id in device_ids or ():
            self._published_us.pop(device_id, None)


class Publisher:
    """Publishes what it is offered. One owner calls `open` and `close`; `offer` never waits.

    `unstored` returns the readings that may not be in TimescaleDB yet, in the order of arrival, without
    those that are ahead of the clock.
    """

    def __init__(
        self,
        redis_url: str,
        catalogue: Catalogue,
        metrics: Metrics,
        unstored: Callable[[], Sequence[Reading]],
        *,
        max_readings: int,
    ) -> None:
        self._catalogue = catalogue
        self._metrics = metrics
        self._unstored = unstored
        self._queue: deque[Reading] = deque()
        self._max_readings = max_readings
        self._some = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._rings = Rings(is_cluster=redis_address(redis_url).is_cluster)
        self._is_connected = False
        self._task: asyncio.Task[None] | None = None
        self._pipe = pipe_to(redis_url)

    def __len__(self) -> int:
        return len(self._queue)

    def open(self) -> asyncio.Task[None]:
        """Start publishing; the returned task ends at `close`. Redis need not be reachable yet."""
        self._task = asyncio.create_task(self._run(), name="publisher")
        return self._task

    async def close(self) -> None:
        """Publish what is queued, for at most `DRAIN_S`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._empty.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._pipe.aclose()
        self._metrics.not_published += len(self._queue)

    def has_room(self, count: int) -> bool:
        """Whether `count` readings can be queued without dropping one, which live servers would not notice.

        While Redis is unreachable there is always room: the oldest are dropped, because live servers refill.
        """
        return not self._is_connected or len(self._queue) + count <= self._max_readings

    def offer(self, readings: Sequence[Reading]) -> None:
        """Queue readings. If there is no room, drop the oldest: they are most likely stored."""
        self._queue.extend(readings)
        self._trim()
        if self._queue:
            self._some.set()
            self._empty.clear()

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            await self._some.wait()
            chunk = [self._queue.popleft() for _ in range(min(PIPELINE_READINGS, len(self._queue)))]
            try:
                await self._publish(chunk)
                if backoff.failures:
                    log.warning("publishing again after %d failed attempts", backoff.failures)
                backoff.reset()
            except (RedisError, OSError, TimeoutError) as error:
                self._put_back(chunk)
                self._metrics.publish_errors += 1
                if not backoff.failures:
                    log.warning("not publishing, will retry: %s", error)
                await backoff.wait()
            except asyncio.CancelledError:
                self._queue.extendleft(reversed(chunk))
                raise
            if not self._queue:
                self._some.clear()
                self._empty.set()

    async def _publish(self, chunk: Sequence[Reading]) -> None:
        """Send a chunk. Raises if some of it may not have been published."""
        commands: list[Command] = []
        published = 0
        for reading in chunk:
            if not self._rings.is_published(reading):
                commands += self._rings.commands(reading, reading_encode(reading, self._catalogue))
                published += 1
        if commands:
            self._check(commands, await self._pipe.send(commands))
            self._is_connected = True
        self._metrics.published += published

    def _check(self, commands: Sequence[Command], replies: Sequence[object]) -> None:
        """Raise if a PUBLISH failed. A failed XADD (Redis is out of memory) does not delay the live stream."""
        for command, reply in zip(commands, replies, strict=True):
            self._metrics.ring_resets += command[0] == "DEL"
            if isinstance(reply, RedisError):
                if command[0] in ("PUBLISH", "SPUBLISH"):
                    raise reply
                self._metrics.ring_errors += 1
                self._rings.distrust([device_of(str(command[1]))])

    def _put_back(self, chunk: Sequence[Reading]) -> None:
        """Repeat after a failure: from the chunk on, or from the first reading that is not stored if that is earlier.

        Readings that are not stored and not queued were taken off the queue earlier, so they come first.
        """
        self._is_connected = False  # until a pipeline succeeds
        self._rings.distrust()
        self._queue.extendleft(reversed(chunk))
        queued = set(map(id, self._queue))
        missing = (reading for reading in reversed(self._unstored()) if id(reading) not in queued)
        self._queue.extendleft(list(islice(missing, max(0, self._max_readings - len(self._queue)))))
        self._trim()

    def _trim(self) -> None:
        while len(self._queue) > self._max_readings:
            dropped = self._queue.popleft()
            self._rings.distrust([dropped.device_id])
            self._metrics.not_published += 1
