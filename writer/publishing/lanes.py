"""Publishers in parallel: in a cluster, an unreachable master delays only its own devices.

A reading ahead of the clock waits here until its time has come: published at once, it would make all readings up to its
time late.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from telemetry.ahead import Ahead
from telemetry.catalogue import Catalogue
from telemetry.cluster import SLOTS, device_slot
from telemetry.reading import Reading
from telemetry.redis_url import redis_address
from telemetry.times import SECOND_US, now_us
from writer.metrics import Metrics
from writer.publishing.publisher import Publisher
from writer.settings import MAX_LIST_READINGS, WriterSettings

# A device stays in its lane when slots move between masters: otherwise its readings might overtake each other.
# With twelve lanes, each lane has one master if slots are spread evenly over 1, 2, 3, 4, 6 or 12 masters.
CLUSTER_LANES = 12
# A clock may be a little ahead: such readings are always accepted, because they do not wait for long.
LITTLE_AHEAD_US = SECOND_US


class Lanes:
    """One publisher per lane; without a cluster there is one lane. One owner calls `open` and `close`."""

    def __init__(
        self,
        settings: WriterSettings,
        catalogue: Catalogue,
        metrics: Metrics,
        unstored: Callable[[], Sequence[Reading]],
    ) -> None:
        """`unstored` is the one of `Publisher`, for all lanes."""
        self._count = CLUSTER_LANES if redis_address(settings.redis_url).is_cluster else 1
        room = max(settings.publish_max_readings // self._count, MAX_LIST_READINGS)
        self._unstored = unstored
        self._ahead = Ahead(lambda reading: self._offer([reading]))
        self._max_ahead = max(settings.publish_max_readings, MAX_LIST_READINGS)
        self._lanes = [
            Publisher(settings.redis_url, catalogue, metrics, self._unstored_of(lane), max_readings=room)
            for lane in range(self._count)
        ]

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def open(self) -> list[asyncio.Task[None]]:
        return [lane.open() for lane in self._lanes]

    async def close(self) -> None:
        self._ahead.clear()  # they are stored, and the next process publishes them
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    def has_room(self, readings: Sequence[Reading]) -> bool:
        """Whether these readings can be queued, or held if they are ahead of the clock."""
        soon = now_us() + LITTLE_AHEAD_US
        ahead = sum(reading.us > soon for reading in readings)
        if ahead and len(self._ahead) + ahead > self._max_ahead:
            return False
        return all(lane.has_room(len(readings)) for lane in self._lanes)

    def offer(self, readings: Sequence[Reading]) -> None:
        """Queue readings; hold those that are ahead of the clock."""
        self._ahead.release_due()
        now = now_us()
        if ahead := [reading for reading in readings if reading.us > now]:
            self._ahead.hold(ahead)
            readings = [reading for reading in readings if reading.us <= now]
        self._offer(readings)

    def _offer(self, readings: Sequence[Reading]) -> None:
        if self._count == 1:
            self._lanes[0].offer(readings)
            return
        shares: dict[int, list[Reading]] = defaultdict(list)
        for reading in readings:
            shares[self._lane_of(reading)].append(reading)
        for lane, share in shares.items():
            self._lanes[lane].offer(share)

    def _unstored_of(self, lane: int) -> Callable[[], Sequence[Reading]]:
        def unstored() -> Sequence[Reading]:
            now = now_us()
            due = [reading for reading in self._unstored() if reading.us <= now]
            return due if self._count == 1 else [reading for reading in due if self._lane_of(reading) == lane]

        return unstored

    def _lane_of(self, reading: Reading) -> int:
        return device_slot(reading.device_id) * self._count // SLOTS
