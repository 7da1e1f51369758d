"""Publishers in parallel: in a cluster, an unreachable master delays only its own devices."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from telemetry.catalogue import Catalogue
from telemetry.cluster import SLOTS, device_slot
from telemetry.reading import Reading
from telemetry.redis_url import redis_address
from writer.metrics import Metrics
from writer.publishing.publisher import Publisher
from writer.settings import MAX_LIST_READINGS, WriterSettings

# A device stays in its lane when slots move between masters: otherwise its readings might overtake each other.
# With twelve lanes, each lane has one master if slots are spread evenly over 1, 2, 3, 4, 6 or 12 masters.
CLUSTER_LANES = 12


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
        self._lanes = [
            Publisher(settings.redis_url, catalogue, metrics, self._unstored_of(lane), max_readings=room)
            for lane in range(self._count)
        ]

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def open(self) -> list[asyncio.Task[None]]:
        return [lane.open() for lane in self._lanes]

    async def close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    def has_room(self, count: int) -> bool:
        """Whether `count` readings of any device can be queued."""
        return all(lane.has_room(count) for lane in self._lanes)

    def offer(self, readings: Sequence[Reading]) -> None:
        if self._count == 1:
            self._lanes[0].offer(readings)
            return
        shares: dict[int, list[Reading]] = defaultdict(list)
        for reading in readings:
            shares[self._lane_of(reading)].append(reading)
        for lane, share in shares.items():
            self._lanes[lane].offer(share)

    def _unstored_of(self, lane: int) -> Callable[[], Sequence[Reading]]:
        if self._count == 1:
            return self._unstored
        return lambda: [reading for reading in self._unstored() if self._lane_of(reading) == lane]

    def _lane_of(self, reading: Reading) -> int:
        return device_slot(reading.device_id) * self._count // SLOTS
