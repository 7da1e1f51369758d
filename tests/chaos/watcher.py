"""Clients that follow the contract and record the readings they receive from history and live."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from wattstream_client import Backoff, Gap, History, Reading, Unreachable, Unrecovered, WattstreamClient
from wattstream_client.stream import Timeouts

from telemetry.times import us_from_iso
from testing.waiting import wait_until_async

Span = tuple[int, int]
RETRY_PAUSE_S = 0.2


class Watcher:
    """A context manager that follows `devices` at `url`.

    `given`: the times (µs) by device in order of arrival; `named`: spans (µs, both ends included) reported as missing.
    With `from_now` it subscribes without a cursor and loads history at the end.
    """

    def __init__(
        self, url: str, token: str, devices: Sequence[str], *, metrics: list[str] | None = None, from_now: bool = False
    ) -> None:
        self.devices = devices
        self.given: dict[str, list[int]] = defaultdict(list)
        self.named: dict[str, list[Span]] = defaultdict(list)
        self._metrics = metrics
        self._from_now = from_now
        self._client = WattstreamClient(
            url, token, backoff=lambda: Backoff(first_s=0.1, longest_s=1), timeouts=Timeouts(open_s=3, ping_s=5)
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        cursors = dict.fromkeys(self.devices) if self._from_now else await self._histories()
        self._task = asyncio.create_task(self._follow(cursors))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._client.__aexit__(kind, error, trace)

    async def complete(self, sent: Mapping[str, Sequence[int]], *, deadline_s: float = 45) -> None:
        """Wait for the last sent reading of each device. With `from_now`, then prepend the history."""

        async def is_given() -> bool:
            assert self._task is not None
            if self._task.done():
                self._task.result()
            return all(times[-1] in self.given[device_id][-50:] for device_id, times in self._mine(sent).items())

        await wait_until_async(is_given, f"the last readings received by {self}", deadline_s=deadline_s)
        if self._from_now:
            for device_id in self._mine(sent):
                history = await self._history(device_id)
                first = self.given[device_id][0]
                self.given[device_id][:0] = [reading.us for reading in history.readings if reading.us < first]

    def _mine(self, sent: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
        return {device_id: sent[device_id] for device_id in self.devices if sent[device_id]}

    async def _histories(self) -> dict[str, str | None]:
        cursors: dict[str, str | None] = {}
        for device_id in self.devices:
            history = await self._history(device_id)
            self.given[device_id] = [reading.us for reading in history.readings]
            cursors[device_id] = history.cursor
        return cursors

    async def _history(self, device_id: str) -> History:
        while True:
            try:
                return await self._client.history(device_id, range="30m")
            except Unreachable:
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _follow(self, cursors: Mapping[str, str | None]) -> None:
        async with aclosing(self._client.follow(cursors, metrics=self._metrics)) as events:
            async for event in events:
                if isinstance(event, Reading):
                    self.given[event.device_id].append(event.us)
                elif isinstance(event, Gap):
                    self.named[event.device_id].append((us_from_iso(event.start), us_from_iso(event.end)))
                elif isinstance(event, Unrecovered) and event.since and event.cursor:
                    self.named[event.device_id].append((us_from_iso(event.since) + 1, us_from_iso(event.cursor)))

    def __repr__(self) -> str:
        return f"Watcher({len(self.devices)} devices, metrics={self._metrics}, from_now={self._from_now})"


def assert_record_is_truth(watcher: Watcher, truth: Mapping[str, Sequence[int]], *, nothing_missing: bool) -> None:
    """Fail unless each stored reading was received once, in order, or was reported as missing and not received."""
    for device_id in watcher.devices:
        given, stored, spans = watcher.given[device_id], truth[device_id], watcher.named[device_id]
        what = f"{watcher} {device_id}"
        assert given == sorted(given), f"{what}: out of order"
        assert len(given) == len(set(given)), f"{what}: received twice: {_twice(given)}"
        assert set(given) <= set(stored), f"{what}: never stored: {set(given) - set(stored)}"
        missing = sorted(set(stored) - set(given))
        unnamed = [us for us in missing if not any(first <= us <= last for first, last in spans)]
        assert not unnamed, f"{what}: {len(unnamed)} of {len(stored)} lost: {[stored.index(us) for us in unnamed]}"
        false = [us for us in given if any(first <= us <= last for first, last in spans)]
        assert not false, f"{what}: received and reported as missing: {[stored.index(us) for us in false]}"
        assert not (nothing_missing and (missing or spans)), f"{what}: {len(missing)} missing, {spans} reported"


def _twice(given: Sequence[int]) -> list[int]:
    return [index for index, us in enumerate(given) if us in given[:index]]
