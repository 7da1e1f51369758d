"""The loads of ./scripts/bench capacity: each offers one kind of load and reports the result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx

from bench.fanout.round import Delivery, Load, delivery
from bench.fanout.servers import Server
from bench.installation import Installation, stored
from bench.loads.crowd import Crowd
from bench.loads.devices import PERIOD_S, Fleet, missing
from bench.loads.http_load import Result, load_open
from bench.measure.cpu import cpu_seconds, with_children
from bench.measure.step import LoadStep
from bench.stack import DEVICES, BenchStack
from testing.process import Process

P99_MS = 100.0
HISTORY_P99_MS = 250.0
INGEST_P99_MS = 250.0
IN_FULL = 0.97
DRAIN_S = 30.0
CAUGHT_UP_S = 3.0
POLL_S = 0.1
WARM_UP_S = 1.2
# Users request recent data most.
MIX = ("10m",) * 8 + ("1h",) * 5 + ("24h",) * 4 + ("7d",) * 2 + ("30d",)


def history_paths() -> list[str]:
    """Return the mix over the devices. All paths differ: the server answers identical requests with one query."""
    return [
        f"/api/history/{DEVICES[number % len(DEVICES)]}?range={MIX[number * 7 % len(MIX)]}&max_points={720 + number}"
        for number in range(200)
    ]


class Spent:
    """CPU of the parts of a site, from construction to `cores`."""

    def __init__(self, parts: Mapping[str, Sequence[int]]) -> None:
        self._parts = parts
        self._begun = time.perf_counter()
        self._before = self._now()

    def cores(self, others_s: float = 0.0) -> dict[str, float]:
        """Return busy cores by part. The generator is this process plus `others_s` CPU seconds of its helpers."""
        lasted = time.perf_counter() - self._begun
        after = self._now()
        after["generator"] += others_s
        return {name: round((after[name] - before) / lasted, 3) for name, before in self._before.items()}

    def _now(self) -> dict[str, float]:
        found = {
            name: cpu_seconds(member for pid in pids for member in with_children(pid))
            for name, pids in self._parts.items()
        }
        return {**found, "generator": time.process_time()}


@dataclass
class DashboardProbe:
    """Dashboards with `watched` devices each at 1 Hz, and `watchers` dashboards per device.

    The probe publishes to Redis directly, as the writer does, so that only one server process is measured.
    """

    stack: BenchStack
    server: Server
    process: Process
    devices: Sequence[str]
    seconds: float
    watched: int = 1
    watchers: int = 1

    async def __call__(self, load: int) -> LoadStep:
        return self._step(load, await self.deliver(load))

    async def deliver(self, load: int, beside: Callable[[], Awaitable[object]] | None = None) -> Delivery:
        devices = self.devices[: max(1, self.watched, load * self.watched // self.watchers)]
        offered = Load("", load, self.watched, load * self.watched)
        return await delivery(
            self.server, self.process, offered, devices, seconds=self.seconds, redis=self.stack.redis, beside=beside
        )

    def _step(self, load: int, row: Delivery) -> LoadStep:
        step = delivered(LoadStep(load), row, offered=load * self.watched)
        step.expect(row.p99_ms < P99_MS, f"p99 {P99_MS:.0f} ms")
        return step


def delivered(step: LoadStep, row: Delivery, *, offered: int) -> LoadStep:
    """Fill the step from a round of deliveries. `offered`: deliveries per second."""
    step.per_second, step.lost, step.doubled = row.per_second, row.lost, row.twice
    step.p50_ms, step.p99_ms, step.max_ms = row.p50_ms, row.p99_ms, row.max_ms
    costs = {"server": row.cpu_us, "Redis": row.redis_cpu_us, "generator": row.generator_cpu_us}
    step.cores = {name: round(us * row.per_second / 1e6, 3) for name, us in costs.items()}
    step.also = {"server_us_a_frame": row.cpu_us, "generator_us_a_frame": row.generator_cpu_us}
    step.also["connected_s"] = row.connected_s
    step.expect(row.per_second > IN_FULL * offered, "delivered as fast as offered")
    step.expect(row.lost == 0, "nothing lost")
    step.expect(row.twice == 0, "nothing doubled")
    return step


@dataclass
class HistoryProbe:
    """History requests at a fixed rate, while `beside` dashboards receive their readings."""

    dashboards: DashboardProbe
    beside: int

    async def __call__(self, load: int) -> LoadStep:
        asked = Result()

        async def ask() -> None:
            nonlocal asked
            headers = {"Authorization": f"Bearer {self.dashboards.stack.token}"}
            port, seconds = self.dashboards.process.port, self.dashboards.seconds
            asked = await load_open(port, history_paths(), headers, per_second=load, seconds=seconds)

        database = Spent({"TimescaleDB": [self.dashboards.stack.postgres]})
        row = await self.dashboards.deliver(self.beside, ask)
        step = delivered(LoadStep(load), row, offered=self.beside)
        step.cores |= {"TimescaleDB": database.cores()["TimescaleDB"]}
        step.also |= {"live_p99_ms": row.p99_ms, "dashboards": self.beside}
        step.expect(row.p99_ms < P99_MS, f"live p99 {P99_MS:.0f} ms")
        return requested(step, asked, HISTORY_P99_MS)


def requested(step: LoadStep, result: Result, limit_ms: float) -> LoadStep:
    """Fill the step from a round of requests."""
    step.per_second, step.refused, step.failed = result.per_second, result.refused, dict(result.failed)
    step.p50_ms, step.p99_ms, step.max_ms = (result.percentile_ms(share) for share in (0.5, 0.99, 1.0))
    step.expect(step.p99_ms < limit_ms, f"p99 {limit_ms:.0f} ms")
    step.expect(not result.refused, "no 503")
    step.expect(not result.failed, "no other failure")
    return step


@dataclass
class WriterProbe:
    """Devices at 1 Hz each, sent singly or in batches of `batch`.

    Expects that every accepted reading is stored and published, and that the writer's backlog does not grow.
    """

    site: Installation
    devices: Sequence[str]
    seconds: float
    batch: int = 1

    async def __call__(self, load: int) -> LoadStep:
        fleet = self._fleet(load)
        since_us, before, spent = time.time_ns() // 1000, await counters(self.site.writer), Spent(self.site.parts())
        result = await fleet.report(max(self.seconds, self.batch * PERIOD_S))
        step = LoadStep(load, cores=spent.cores())
        took = await caught_up(self.site.writer)
        after = await counters(self.site.writer)
        step.also = {"caught_up_s": round(took, 2), "accepted": fleet.accepted_readings}
        truth = await asyncio.to_thread(stored, self.site.stack.env, since_us - 10**8, list(fleet.accepted))
        step.lost, _ = missing(fleet.accepted, truth)
        step.doubled = int(after["duplicates"] - before["duplicates"])
        published = int(after["published"] - before["published"])
        requested(step, result, INGEST_P99_MS)
        step.per_second *= self.batch
        step.expect(step.lost == 0, "all accepted readings stored")
        step.expect(published == fleet.accepted_readings, f"all accepted readings published ({published})")
        step.expect(took < CAUGHT_UP_S, f"caught up within {CAUGHT_UP_S:.0f} s")
        return step

    def _fleet(self, load: int) -> Fleet:
        return Fleet(self.site.writer.port, self.site.stack.env["INGEST_SECRET"], self.devices[:load], self.batch)


@dataclass
class SiteProbe:
    """Dashboards, `watchers` per device, and their devices, which report to the writer at 1 Hz.

    Latency is from the device's timestamp to the dashboard's socket. Received readings are compared with the stored
    ones.
    """

    site: Installation
    devices: Sequence[str]
    seconds: float
    watchers: int

    async def __call__(self, load: int) -> LoadStep:
        watched = self.devices[: max(1, load // self.watchers)]
        fleet = Fleet(self.site.writer.port, self.site.stack.env["INGEST_SECRET"], watched)
        since_us = time.time_ns() // 1000
        await fleet.report(WARM_UP_S)  # gives each device a ring
        ports = [server.port for server in self.site.servers]
        async with Crowd(ports, self.site.stack.token, watched, watchers=self.watchers) as crowd:
            crowd.take_latencies_ms()
            spent = Spent(self.site.parts())
            result = await fleet.report(self.seconds)
            cores = spent.cores()
            latencies = crowd.take_latencies_ms()
            await caught_up(self.site.writer)
            truth = await asyncio.to_thread(stored, self.site.stack.env, since_us, watched)
            verdict = await crowd.complete(truth, deadline_s=DRAIN_S)
        lost, _ = missing(fleet.accepted, truth)
        step = requested(LoadStep(load, cores=cores), result, INGEST_P99_MS)
        step.also = {"ingest_p99_ms": step.p99_ms, "lost_before_the_store": lost, "owed": verdict.owed}
        step.also |= {"reconnects": verdict.reconnects}
        step.per_second = len(latencies) / self.seconds
        step.p50_ms, step.p99_ms, step.max_ms = (share_of(latencies, share) for share in (0.5, 0.99, 1.0))
        step.lost, step.doubled, step.named = verdict.lost + lost, verdict.doubled, verdict.named
        step.expect(step.p99_ms < P99_MS, f"p99 {P99_MS:.0f} ms")
        step.expect(not step.lost, "nothing lost")
        step.expect(not step.doubled, "nothing doubled")
        step.expect(not step.named, "nothing dropped")
        return step


def share_of(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values; NaN if there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def counters(writer: Process) -> dict[str, float]:
    """Return the writer's counters by short name."""
    async with httpx.AsyncClient(timeout=10) as client:
        text = (await client.get(f"{writer.url}/metrics")).text
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("wattstream_writer_"))
    return {
        name.removeprefix("wattstream_writer_").removesuffix("_total"): float(value)
        for name, _, value in lines
        if "{" not in name
    }


async def caught_up(writer: Process) -> float:
    """Wait until the writer has stored and published its backlog. Return the seconds that took, at most `DRAIN_S`."""
    begun = time.perf_counter()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while (now := await counters(writer))["queued_readings"] or now["to_publish_readings"]:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    return time.perf_counter() - begun
