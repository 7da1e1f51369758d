"""A crowd of dashboards that follow devices according to the contract, and its comparison with the stored readings.

Each dashboard subscribes with the time of its last reading, reconnects when its socket ends, and counts readings,
duplicates and the spans that frames report as missing. It uses raw protocols, so that thousands of dashboards need
little of the machine's CPU.
"""

from __future__ import annotations

import asyncio
import json
import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle

from bench.fanout import websocket
from bench.fanout.sockets import CONNECTING_AT_ONCE, Dialogue, Socket, SocketTally
from telemetry.times import iso_from_us, us_from_iso

OPEN_DEADLINE_S = 120.0
JOIN_TIMEOUT_S = 15.0
BACK_OFF_S = (0.2, 2.0)
POLL_S = 0.1
Span = tuple[int, int]


@dataclass
class Record:
    """The readings that a dashboard received. Times in µs; `missing`: spans to load from history, ends included.

    `since`: the cursor of the first subscription. The dashboard is owed every later reading.
    """

    device: str
    since: int | None = None
    last: int = -1
    received: int = 0
    doubled: int = 0
    missing: list[Span] = field(default_factory=list)

    def add(self, us: int) -> None:
        if us <= self.last:
            self.doubled += 1
        else:
            self.last = us
            self.received += 1


@dataclass
class Verdict:
    """The crowd compared with the stored readings.

    `named`: missing and reported by a frame; `lost`: missing without notice.
    """

    owed: int = 0
    given: int = 0
    doubled: int = 0
    named: int = 0
    lost: int = 0
    reconnects: int = 0


class Crowd:
    """`watchers` dashboards for each of `devices`, round robin over the servers at `ports`. A context manager."""

    def __init__(self, ports: Sequence[int], token: str, devices: Iterable[str], *, watchers: int = 1) -> None:
        self.ports = list(ports)
        self.records = [Record(device) for device in devices for _ in range(watchers)]
        self.tally = SocketTally()
        self.connected = 0
        self.reconnects = 0
        self._headers = {"Authorization": f"Bearer {token}"}
        self._gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self._places = cycle(range(len(self.ports)))

    async def __aenter__(self) -> Crowd:
        self._tasks = [asyncio.create_task(self._follow(record)) for record in self.records]
        async with asyncio.timeout(OPEN_DEADLINE_S):
            while self.connected < len(self.records):  # noqa: ASYNC110 - thousands of sockets move it
                await asyncio.sleep(POLL_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take_latencies_ms(self) -> list[float]:
        """Return the latencies from timestamp to socket since the last call, sorted."""
        taken, self.tally.latencies_us = self.tally.latencies_us, []
        return sorted(us / 1000 for us in taken)

    async def complete(self, truth: Mapping[str, Sequence[int]], *, deadline_s: float) -> Verdict:
        """Wait at most `deadline_s` until each dashboard has the newest stored reading of its device, then compare."""
        newest = {device: times[-1] for device, times in truth.items() if times}
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while any(record.last < newest.get(record.device, -1) for record in self.records):  # noqa: ASYNC110 - thousands of sockets move it
                    await asyncio.sleep(POLL_S)
        verdict = Verdict(reconnects=self.reconnects)
        for record in self.records:
            _compare(record, truth.get(record.device, ()), verdict)
        return verdict

    async def _follow(self, record: Record) -> None:
        """Reconnect in a loop, as a dashboard does."""
        is_first = True
        while True:
            socket = None
            try:
                async with self._gate, asyncio.timeout(JOIN_TIMEOUT_S):
                    socket = await self._joined(record)
                self.connected += 1
                self.reconnects += not is_first
                is_first = False
                try:
                    await socket.closed
                finally:
                    self.connected -= 1
            except (OSError, TimeoutError):
                pass
            finally:
                if socket is not None:
                    socket.close()
            await asyncio.sleep(random.uniform(*BACK_OFF_S))

    async def _joined(self, record: Record) -> DashboardSocket:
        port, loop = self.ports[next(self._places)], asyncio.get_running_loop()
        _, socket = await loop.create_connection(
            lambda: DashboardSocket(port, self._headers, self.tally, record), "127.0.0.1", port
        )
        try:
            await socket.ready
        except BaseException:
            socket.close()
            raise
        return socket


class DashboardSocket(Socket):
    """One connection of a dashboard. `closed` completes when it ends."""

    def __init__(self, port: int, headers: Mapping[str, str], tally: SocketTally, record: Record) -> None:
        since = iso_from_us(record.last) if record.last >= 0 else None
        request = json.dumps({"type": "subscribe", "id": 1, "devices": [record.device], "since": since}).encode()
        opening = websocket.client_frame(websocket.TEXT, request)
        super().__init__(port, Dialogue("/ws/live", dict(headers), opening, b'"subscribed"', 1), tally)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._record = record

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if not self.closed.done():
            self.closed.set_result(None)

    def _count(self, stamp: bytes, now_us: int) -> None:
        self._record.add(self._tally.count(stamp, now_us))

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == websocket.CLOSE:
            self.close()
        elif opcode == websocket.TEXT:
            self._told(json.loads(payload))
        super()._control(opcode, payload)

    def _told(self, frame: Mapping[str, object]) -> None:
        kind, record = frame["type"], self._record
        if kind == "backlog":
            for row in frame["rows"]:  # type: ignore[attr-defined]
                record.add(us_from_iso(row[0]))
        elif kind == "gap":
            record.missing.append((us_from_iso(str(frame["from"])), us_from_iso(str(frame["to"]))))
        elif kind == "subscribed":
            cursor = us_from_iso(str(frame["cursor"])) if frame["cursor"] else -1
            if record.since is None:
                record.since = record.last = cursor
            elif not frame["recovered"] and cursor > record.last:
                record.missing.append((record.last + 1, cursor))
                record.last = cursor


def _compare(record: Record, stored: Sequence[int], verdict: Verdict) -> None:
    """Add the comparison to `verdict`.

    `stored` is sorted. Received times only increase, so at most `stored` are received.
    """
    since = -1 if record.since is None else record.since
    owed = len(stored) - bisect_right(stored, since)
    named = sum(bisect_right(stored, last) - bisect_right(stored, first - 1) for first, last in record.missing)
    verdict.owed += owed
    verdict.given += record.received
    verdict.doubled += record.doubled
    verdict.named += named
    verdict.lost += max(0, owed - named - record.received)
