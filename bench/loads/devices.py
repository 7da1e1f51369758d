"""Devices that report to the writer on a fixed schedule (open loop)."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from bench.fanout.publisher import reading_at
from bench.loads.http_load import Connection, Result, post
from telemetry.keys import device_key
from telemetry.times import SECOND_US

CONNECTIONS = 64
RETRY_S = 0.25
PERIOD_S = 1.0


@dataclass
class Fleet:
    """`devices` at 1 Hz each, sent singly or in batches of `batch`, to the writer at `port`.

    Reports of one device keep their order. `is_stubborn`: retry refused and failed reports until the writer accepts
    them; otherwise count and drop them. `accepted`: the accepted times (µs) by device.
    """

    port: int
    secret: str
    devices: Sequence[str]
    batch: int = 1
    is_stubborn: bool = False
    accepted: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    result: Result = field(default_factory=Result)
    again: int = 0

    async def report(self, seconds: float) -> Result:
        """Report for `seconds`, evenly spread over the devices.

        `result.latencies_s` has one entry per report, measured from its due time.
        """
        self.result, begun = Result(), time.perf_counter()
        apart = PERIOD_S * self.batch / len(self.devices)
        schedule = [(begun + apart * place, device) for place, device in enumerate(self.devices)]
        lanes = (schedule[number::CONNECTIONS] for number in range(min(CONNECTIONS, len(schedule))))
        await asyncio.gather(*(self._lane(lane, begun + seconds) for lane in lanes))
        self.result.seconds = max(seconds, time.perf_counter() - begun)
        return self.result

    @property
    def accepted_readings(self) -> int:
        return sum(map(len, self.accepted.values()))

    async def _lane(self, schedule: list[tuple[float, str]], until: float) -> None:
        """Send the reports of one connection's devices. `schedule`: first due time and device."""
        numbers = count()
        with Connection(self.port) as connection:
            while schedule[0][0] < until:
                due, device = schedule[0]
                heapq.heapreplace(schedule, (due + PERIOD_S * self.batch, device))
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await self._send(connection, device, due, next(numbers))

    async def _send(self, connection: Connection, device: str, due: float, number: int) -> None:
        times = self._times(device)
        body = b"[" + b",".join(reading_at(device, number, us) for us in times) + b"]"
        headers = {"Authorization": f"Bearer {device_key(self.secret, device)}", "Content-Type": "application/json"}
        request = post(self.port, "/ingest", headers, body if self.batch > 1 else body[1:-1])
        while True:
            try:
                answer = await connection.ask(request)
                self.result.add(answer, time.perf_counter() - due)
                if answer.status == 200:
                    self.accepted[device] += times
                    return
            except (OSError, EOFError, TimeoutError) as error:
                self.result.failed[type(error).__name__] += 1
            if not self.is_stubborn:
                return
            self.again += 1
            await asyncio.sleep(RETRY_S)

    def _times(self, device: str) -> list[int]:
        """Return the times of a batch: evenly over the period that ends now, and later than all earlier ones."""
        now_us = time.time_ns() // 1000
        step_us = SECOND_US
        if self.accepted[device]:
            step_us = min(SECOND_US, max(2, (now_us - self.accepted[device][-1]) // self.batch))
        return [(now_us - step_us * place) | 1 for place in reversed(range(self.batch))]


def missing(accepted: Mapping[str, Sequence[int]], stored: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    """Return the number of readings accepted but not stored, and of those stored but never accepted."""
    lost = sum(len(set(times) - set(stored.get(device, ()))) for device, times in accepted.items())
    extra = sum(len(set(times) - set(accepted.get(device, ()))) for device, times in stored.items())
    return lost, extra
