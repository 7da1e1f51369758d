"""The metrics of `GET /metrics`: requests, database pool, live stream, process.

Hot code counts in plain numbers. This module copies them to prometheus_client at each scrape and, with several workers,
once per second. docs/operations.md explains each metric.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from asgi_project.server.workers import folder_of_workers, slots_forget_dead
from history_app.store.pool import pool_stats
from history_app.store.scan import scans_running
from live_app.access.guard import guard_of_loop
from live_app.metrics import HubState, LiveMetrics
from live_app.metrics import metrics as live

PERIOD_S = 1.0
NEVER_S = float("inf")
_PAGE_BYTES = resource.getpagesize()

for collector in (GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR):  # they know only this process
    REGISTRY.unregister(collector)
disable_created_metrics()  # type: ignore[no-untyped-call]

REQUESTS = Counter(
    "wattstream_http_requests",
    "Answered requests; status 499 if the client disconnected first.",
    ["route", "method", "status"],
)
REQUEST_SECONDS = Histogram(
    "wattstream_http_request_seconds",
    "From a request's first byte in the application to the end of its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
DENIALS = Counter("wattstream_denials", "Refused requests, handshakes and sockets, by reason.", ["where", "reason"])
CLOSES = Counter("wattstream_live_closes", "Sockets closed, by close code.", ["code"])


def _gauge(name: str, help_text: str, mode: str = "livesum") -> Gauge:
    return Gauge(f"wattstream_{name}", help_text, multiprocess_mode=mode)  # type: ignore[arg-type]


WORKERS = _gauge("workers", "Server processes behind this port.")
REQUESTS_OPEN = _gauge("http_requests_open", "Requests in progress, including this scrape.")
LOOP_LAG = _gauge("event_loop_lag_seconds", "Delay of the event loop at its last measurement.", "livemax")
RESIDENT = _gauge("process_resident_bytes", "Resident memory of the server processes.")
CPU = Counter("wattstream_process_cpu_seconds", "CPU time of the server processes.")
EXPORTS = _gauge("exports_running", "Exports in progress.")
HEARTBEAT_AGE = _gauge(
    "heartbeat_age_seconds", "Time since the writer's last heartbeat; +Inf before the first.", "livemax"
)
DEVICES = _gauge("live_devices", "Watched devices, summed over the workers.")
SOCKETS = _gauge("live_sockets", "Open live sockets.")
SESSIONS = _gauge("live_sessions", "Live sessions: authenticated sockets and event streams.")
SLOW_SOCKETS = _gauge("live_slow_sockets", "Sockets with queued frames, because the client reads too slowly.")
QUEUED_FRAMES = _gauge("live_queued_frames", "Frames queued for slow sockets.")
REDIS_CONNECTED = _gauge("live_redis_connected", "1 if the hub of every worker is connected to Redis.", "livemin")
POOL_CONNECTIONS = _gauge("pool_connections", "Connections to TimescaleDB in the pool.")
POOL_IDLE = _gauge("pool_idle_connections", "Idle connections in the pool.")
POOL_WAITING = _gauge("pool_waiting_requests", "Requests that wait for a connection.")
MALFORMED = Counter("wattstream_live_malformed", "Malformed messages on Redis.")
# Keys of psycopg_pool's `get_stats`: our counter, and the factor from its unit to ours.
POOL_COUNTERS = {
    "requests_num": (Counter("wattstream_pool_requests", "Requested connections."), 1.0),
    "requests_queued": (Counter("wattstream_pool_queued", "Requests for a connection that had to wait."), 1.0),
    "requests_wait_ms": (
        Counter("wattstream_pool_wait_seconds", "Total time that requests waited for a connection."),
        0.001,
    ),
    "requests_errors": (Counter("wattstream_pool_refused", "Requests that got no connection."), 1.0),
    "connections_errors": (Counter("wattstream_pool_connect_errors", "Failed attempts to connect."), 1.0),
    "connections_lost": (Counter("wattstream_pool_lost", "Connections that turned out to be broken."), 1.0),
}
LIVE_COUNTERS = {
    entry.name: Counter(f"wattstream_live_{entry.name}", entry.metadata["help"])
    for entry in fields(LiveMetrics)
    if "help" in entry.metadata
}


class Exporter:
    """Copies the plain numbers of this process to prometheus_client. The request handler maintains `requests_open`."""

    def __init__(self) -> None:
        self.requests_open = 0
        self._published: dict[tuple[Counter, str], float] = {}

    def publish(self) -> None:
        """Call it only in the event loop that serves requests."""
        WORKERS.set(1)
        REQUESTS_OPEN.set(self.requests_open)
        EXPORTS.set(scans_running())
        RESIDENT.set(_resident_bytes())
        if live.hub is not None:
            self._publish_hub(live.hub)
        SOCKETS.set(live.sockets)
        SESSIONS.set(guard_of_loop().sessions)
        SLOW_SOCKETS.set(len(live.slow))
        QUEUED_FRAMES.set(live.queued_frames)
        self._advance(CPU, time.process_time())
        for name, counter in LIVE_COUNTERS.items():
            self._advance(counter, getattr(live, name))
        for code, count in live.closes.items():
            self._advance(CLOSES, count, code)
        for code, count in live.refused.items():
            self._advance(DENIALS, count, "frame", code)
        self._publish_pool(pool_stats())

    def _publish_hub(self, hub: HubState) -> None:
        HEARTBEAT_AGE.set(NEVER_S if hub.heartbeat_at is None else time.monotonic() - hub.heartbeat_at)
        REDIS_CONNECTED.set(hub.is_connected)
        DEVICES.set(hub.devices)
        self._advance(MALFORMED, hub.malformed)

    def _publish_pool(self, stats: Mapping[str, int]) -> None:
        POOL_CONNECTIONS.set(stats.get("pool_size", 0))
        POOL_IDLE.set(stats.get("pool_available", 0))
        POOL_WAITING.set(stats.get("requests_waiting", 0))
        for name, (counter, unit) in POOL_COUNTERS.items():
            self._advance(counter, stats.get(name, 0) * unit)

    def _advance(self, counter: Counter, value: float, *labels: str) -> None:
        """Raise a counter to `value`, the count of this process since its start."""
        key = (counter, "/".join(labels))
        grown = value - self._published.get(key, 0.0)
        if grown > 0:
            self._published[key] = value
            (counter.labels(*labels) if labels else counter).inc(grown)


exporter = Exporter()


async def publish_forever() -> None:
    """Once per second: measure the lag of the loop and, in a worker, publish. A worker whose parent has died stops."""
    parent, is_worker = os.getppid(), folder_of_workers() is not None
    loop = asyncio.get_running_loop()
    while True:
        wanted = loop.time() + PERIOD_S
        if is_worker:
            exporter.publish()
            if os.getppid() != parent:
                signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(wanted - loop.time())
        LOOP_LAG.set(max(0.0, loop.time() - wanted))


async def exposition() -> bytes:
    """The metrics of all workers as Prometheus text. Those of other workers are at most PERIOD_S old."""
    exporter.publish()
    folder = folder_of_workers()
    if folder is None:
        return generate_latest(REGISTRY)
    return await asyncio.to_thread(_exposition_of_all, folder)


def _exposition_of_all(folder: Path) -> bytes:
    slots_forget_dead(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:  # not Linux
        return 0
