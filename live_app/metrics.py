"""What the live part counts: plain numbers of this process, as they are touched for every frame.

`asgi_project.observability.metrics` publishes them; what each means to an operator stands in docs/operations.md.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import orjson
from prometheus_client import Histogram

from telemetry.times import SECOND_US, us_from_iso

LAG_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PUBLISH_TO_SEND = Histogram(
    "wattstream_live_publish_to_send_seconds",
    "From the writer's heartbeat leaving it to what came with it being written to the sockets.",
    buckets=LAG_BUCKETS_S,
)


class Slow(Protocol):
    """What is asked of an outlet whose socket does not keep up."""

    @property
    def queued(self) -> int: ...


def _counter(help_text: str) -> int:
    value: int = field(default=0, metadata={"help": help_text})
    return value


@dataclass(slots=True)
class LiveMetrics:
    """Counters since the process started, none ever goes down; and `sockets` and `slow`, which tell what is now."""

    readings: int = _counter("Readings that Redis brought for devices watched here.")
    deliveries: int = _counter("Frames handed to sockets.")
    dropped: int = _counter("Frames with readings dropped because their socket was too slow.")
    gaps: int = _counter("Gap frames sent.")
    joins: int = _counter("Subscriptions that began.")
    joins_incomplete: int = _counter("Of these, those told to load history because more was missed than is replayed.")
    refills: int = _counter("Times the readings of a device were fetched anew after its stream broke off.")
    refills_incomplete: int = _counter("Of these, those that could not fetch all of it.")
    connections: int = _counter("Connections to Redis that the hub began to make.")
    refused: Counter[str] = field(default_factory=Counter)  # clients' frames, by the code of the error frame
    closes: Counter[str] = field(default_factory=Counter)  # sockets, by close code
    sockets: int = 0
    slow: dict[asyncio.Task[None], Slow] = field(default_factory=dict)  # by the task that empties the queue

    @property
    def queued_frames(self) -> int:
        return sum(outlet.queued for outlet in self.slow.values())


metrics = LiveMetrics()


def heartbeat_heard(payload: bytes) -> None:
    """Note how old a heartbeat is once everything that came before it has been written to the sockets.

    It travels with the readings, so it stands for them, and no reading has to carry the time it was published. One
    without a time, from a foreign writer, says nothing.
    """
    try:
        published = us_from_iso(orjson.loads(payload)["time"])
    except (ValueError, KeyError, TypeError):
        return
    asyncio.get_running_loop().call_soon(_note_lag, published)


def _note_lag(published: int) -> None:
    PUBLISH_TO_SEND.observe(max(0.0, (time.time_ns() // 1000 - published) / SECOND_US))
