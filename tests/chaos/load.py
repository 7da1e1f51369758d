"""Readings for a few devices, sent to the real writer through any fault."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from core.catalogue import CATALOGUE
from telemetry.keys import device_key
from telemetry.times import iso_from_us
from testing.telemetry import now_us, reading_at
from testing.waiting import wait_until_async
from tests.chaos.site import Site

DEADLINE_S = 60
MS_US = 1000


class Load:
    """A context manager that sends about `per_second` readings in total, each with the current time.

    `sent`: their times (µs) by device, in the order in which the writer accepted them.
    """

    def __init__(self, site: Site, devices: Sequence[str], *, chance: random.Random, per_second: float = 30) -> None:
        self.sent: dict[str, list[int]] = {device_id: [] for device_id in devices}
        self._url = f"{site.writer.url}/ingest"
        self._keys = {device_id: device_key(site.env["INGEST_SECRET"], device_id) for device_id in devices}
        self._chance = chance
        self._pause_s = 1 / per_second
        self._http = httpx.AsyncClient(timeout=5)
        self._one_at_a_time = asyncio.Lock()  # otherwise readings could overtake each other
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self._http.aclose()

    async def stop(self) -> None:
        """Stop sending, after the last reading was accepted."""
        self._flowing.set()
        if self._task is not None:
            task, self._task = self._task, None
            self._stopping = True
            await task

    async def stall(self) -> None:
        """Pause until `go_on`, after the last reading was accepted."""
        self._flowing.clear()
        async with self._one_at_a_time:
            pass

    def go_on(self) -> None:
        self._flowing.set()

    _stopping = False

    async def _run(self) -> None:
        while not self._stopping:
            await self._flowing.wait()
            device_id = self._chance.choice(list(self.sent))
            await self.burst(device_id, 1)
            await asyncio.sleep(self._pause_s * self._chance.uniform(0, 2))

    async def burst(self, device_id: str, count: int) -> None:
        """Send `count` readings in one request, 1 ms apart."""
        async with self._one_at_a_time:
            last = self.sent[device_id][-1] if self.sent[device_id] else 0
            first = max(now_us(), last + MS_US)
            times = [first + index * MS_US for index in range(count)]
            await self._send(device_id, times, value=1.0)
            self.sent[device_id] += times

    async def late(self, device_id: str) -> None:
        """Send a reading and then an older one."""
        async with self._one_at_a_time:
            times = self.sent[device_id]
            late, newest = times[-1] + MS_US, times[-1] + 2 * MS_US
            await self._send(device_id, [newest], value=1.0)
            await self._send(device_id, [late], value=1.0)
            times += [late, newest]

    async def again(self, device_id: str) -> None:
        """Send different readings with the times of the last three."""
        async with self._one_at_a_time:
            await self._send(device_id, self.sent[device_id][-3:], value=77.0)

    async def _send(self, device_id: str, times: Sequence[int], *, value: float) -> None:
        """Send readings with these times (µs) until the writer has accepted them."""
        body = [_flat(device_id, us, value) for us in times]

        async def is_accepted() -> bool:
            return await self._post(device_id, body)

        await wait_until_async(is_accepted, "the writer accepts readings", deadline_s=DEADLINE_S)

    async def _post(self, device_id: str, body: list[Mapping[str, Any]]) -> bool:
        headers = {"Authorization": f"Bearer {self._keys[device_id]}"}
        try:
            answer = await self._http.post(self._url, json=body, headers=headers)
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200


def _flat(device_id: str, us: int, value: float) -> Mapping[str, Any]:
    values = reading_at(device_id, us, value).values
    return {"device_id": device_id, "time": iso_from_us(us), **dict(zip(CATALOGUE.names, values, strict=True))}
