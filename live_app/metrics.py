"""Counters of the live part of this process: plain integers, because every frame increments them.

`asgi_project.observability.metrics` publishes them; docs/operations.md explains them to operators.
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
    "From the writer publishing a heartbeat to the readings before it being written to the sockets.",
    buckets=LAG_BUCKETS_S,
)


class Slow(Protocol):
    """An outlet whose socket does not keep up."""

    @property
    def queued(self) -> int: ...


class HubState(Protocol):
    """The hub of this process. `heartbeat_at`: of the monotonic clock, None before the writer's first heartbeat."""

    malformed: int
    heartbeat_at: float | None

    @property
    def is_connected(self) -> bool: ...

    @property
    def devices(self) -> int: ...


def _counter(help_text: str) -> int:
    value: int = field(default=0, metadata={"help": help_text})
    return value


@dataclass(slots=True)
class LiveMetrics:
    """Counters since the start of the process. `sockets`, `slow` and `hub` are the present state."""

    readings: int = _counter("Readings received from Redis for watched devices.")
    deliveries: int = _counter("Frames handed to sockets.")
    dropped: int = _counter("Frames with readings dropped because their socket was too slow.")
    gaps: int = _counter("Gap frames sent.")
    joins: int = _counter("Subscriptions that became live.")
    joins_incomplete: int = _counter("Of these, with `recovered` false: more was missed than could be replayed.")
    refills: int = _counter("Times the missed readings of a device were fetched after its stream broke.")
    refills_incomplete: int = _counter("Of these, incomplete.")
    connections: int = _counter("Subscriber connections to Redis that were attempted.")
    refused: Counter[str] = field(default_factory=Counter)  # requests, by the code of the error frame
    closes: Counter[str] = field(default_factory=Counter)  # sockets, by close code
    sockets: int = 0
    hub: HubState | None = None  # None until it has started
    slow: dict[asyncio.Task[None], Slow] = field(default_factory=dict)  # by the task that empties the queue

    @property
    def queued_frames(self) -> int:
        return sum(outlet.queued for outlet in self.slow.values())


metrics = LiveMetrics()


def heartbeat_heard(payload: bytes) -> None:
    """Observe the age of a heartbeat after the readings before it have been written to the sockets.

    Heartbeats travel with the readings and stand for them: readings need no time of publication. A heartbeat without a
    time, from a third-party writer, is ignored.
    """
    try:
        published = us_from_iso(orjson.loads(payload)["time"])
    except (ValueError, KeyError, TypeError):
        return
    asyncio.get_running_loop().call_soon(_note_lag, published)


def _note_lag(published: int) -> None:
    PUBLISH_TO_SEND.observe(max(0.0, (time.time_ns() // 1000 - published) / SECOND_US))
