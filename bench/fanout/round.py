"""One measurement of one server: delivery under a load, or memory per idle socket."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice

from bench.fanout.publisher import Done, Order
from bench.fanout.servers import Server
from bench.fanout.sockets import Socket, SocketTally, readings_arrived, sockets_open
from bench.measure.cpu import cpu_seconds, resident_bytes, with_children
from bench.stack import ROOT, BenchStack
from testing.process import Process

WARM_UP_S = 1.0
WARM_UP_SOCKETS = 200
SETTLE_S = 3.0
DROWNED_MS = 300.0
DROWNED_SHARE = 0.05


@dataclass(frozen=True)
class Load:
    """`sockets` that watch `watched` devices each; `deliveries` per second in total, published in bursts of `burst`."""

    name: str
    sockets: int
    watched: int
    deliveries: int
    burst: int = 1


@dataclass(frozen=True)
class Delivery:
    """Result of a round. CPU in µs per delivered frame.

    `generator` includes sockets and publisher; `twice` counts duplicates; `connected_s` is the time until all sockets
    were subscribed.
    """

    server: str
    load: str
    cpu_us: float
    redis_cpu_us: float
    generator_cpu_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    per_second: float
    lost: int
    twice: int
    expected: int
    connected_s: float = 0.0

    @property
    def is_drowned(self) -> bool:
        """Return whether the server is overloaded: the delay of frames grows, or frames are lost."""
        return self.p50_ms > DROWNED_MS or self.lost > DROWNED_SHARE * self.expected


@dataclass(frozen=True)
class Memory:
    """Resident memory per idle socket in kB, averaged over `sockets`."""

    server: str
    sockets: int
    kilobytes: float


class PublisherProcess:
    """Client side of the publisher process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def publish(self, order: Order) -> Done:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the publisher ended; see its output above")
        return Done(**json.loads(line))


@asynccontextmanager
async def publisher(server: Server, devices: Sequence[str]) -> AsyncIterator[PublisherProcess]:
    command = [sys.executable, "-m", "bench.fanout.publisher", server.bus, server.address]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(list(devices)).encode() + b"\n")
        yield PublisherProcess(process)
    finally:
        process.stdin.close()  # end of its input
        await process.wait()


async def delivery(
    server: Server,
    process: Process,
    load: Load,
    devices: Sequence[str],
    *,
    seconds: float,
    redis: int,
    beside: Callable[[], Awaitable[object]] | None = None,
) -> Delivery:
    """Open the sockets, warm up, publish for `seconds`, and count. `redis`: process id of Redis.

    `beside`: other work for the server during the measured seconds.
    """
    tally = SocketTally()
    dialogues = [server.talk(watched) for watched in watched_devices(load, devices)]
    receivers_each = load.sockets * load.watched / len(devices)
    publications = load.deliveries / receivers_each
    begun = time.perf_counter()
    sockets = await sockets_open(process.port, dialogues, tally)
    connected_s = time.perf_counter() - begun
    try:
        async with publisher(server, devices) as bus:
            warm = await bus.publish(Order(max(WARM_UP_S, load.burst / publications), publications, load.burst))
            await readings_arrived(sockets, round(warm.published * receivers_each))
            _reset(sockets, tally)
            before = _cpu(process, redis)
            done, _ = await asyncio.gather(
                bus.publish(Order(seconds, publications, load.burst)), beside() if beside else asyncio.sleep(0)
            )
            await readings_arrived(sockets, round(done.published * receivers_each))
            spent = [after - earlier for after, earlier in zip(_cpu(process, redis), before, strict=True)]
    finally:
        gc.enable()
        for socket in sockets:
            socket.close()
    row = _result(server, load, sockets, tally, done, spent, receivers_each)
    return replace(row, connected_s=connected_s)


def watched_devices(load: Load, devices: Sequence[str]) -> list[list[str]]:
    """Return the watched devices of each socket. Each device gets the same number of sockets."""
    places = cycle(devices)
    return [list(islice(places, load.watched)) for _ in range(load.sockets)]


async def memory(server: Server, stack: BenchStack, devices: Sequence[str], *, sockets: int) -> Memory:
    """Measure in a new process that has already served some sockets, so that only the cost per socket counts."""
    tally = SocketTally()
    places = cycle(devices)
    with server.process(stack) as process:
        opened = await sockets_open(process.port, [server.talk([next(places)]) for _ in range(WARM_UP_SOCKETS)], tally)
        try:
            await asyncio.sleep(SETTLE_S)
            before = _resident(process)
            opened += await sockets_open(process.port, [server.talk([next(places)]) for _ in range(sockets)], tally)
            await asyncio.sleep(SETTLE_S)
            after = _resident(process)
        finally:
            for socket in opened:
                socket.close()
    return Memory(server.title, sockets, (after - before) / sockets / 1000)


def _reset(sockets: Sequence[Socket], tally: SocketTally) -> None:
    for socket in sockets:
        socket.received = 0
    tally.latencies_us.clear()
    gc.collect()
    gc.disable()  # a collection here would count as latency of the server


def _cpu(process: Process, redis: int) -> tuple[float, float, float]:
    return cpu_seconds(with_children(process.pid)), cpu_seconds([redis]), time.process_time()


def _resident(process: Process) -> int:
    return sum(map(resident_bytes, with_children(process.pid)))


def _result(
    server: Server,
    load: Load,
    sockets: Sequence[Socket],
    tally: SocketTally,
    done: Done,
    spent: Sequence[float],
    receivers_each: float,
) -> Delivery:
    expected = round(done.published * receivers_each)
    each = expected // len(sockets)
    received = sum(socket.received for socket in sockets)
    cpu_us = [1e6 * seconds / max(1, received) for seconds in (spent[0], spent[1], spent[2] + done.cpu_s)]
    return Delivery(
        server=server.title,
        load=load.name,
        cpu_us=cpu_us[0],
        redis_cpu_us=cpu_us[1],
        generator_cpu_us=cpu_us[2],
        p50_ms=tally.percentile_ms(0.5),
        p99_ms=tally.percentile_ms(0.99),
        max_ms=tally.percentile_ms(1.0),
        per_second=received / done.seconds,
        lost=sum(max(0, each - socket.received) for socket in sockets),
        twice=sum(max(0, socket.received - each) for socket in sockets),
        expected=expected,
    )
