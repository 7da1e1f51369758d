"""The way out of one socket: a bounded queue and the task that empties it, so that no socket waits for another.

Overflow rule: the oldest readings go first, and one `gap` frame a device, sent before anything newer of it, tells
the span. Control frames are never dropped. A socket that stays too slow for too long is closed with 4408.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from live_app import protocol

HOPELESS_OVERFLOWS = 3  # times the queue's length
SendText = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Queued:
    """A frame; for one that carries readings, of which device and from when to when (µs)."""

    text: str
    device_id: str | None = None
    first: int = 0
    last: int = 0


class Outlet:
    """Constructed closed; `run` sends until it is cancelled or the socket fails."""

    def __init__(self, send: SendText, *, max_frames: int, on_hopeless: Callable[[], None]) -> None:
        """`on_hopeless` is called once when the queue overflowed many times over without a single frame going out."""
        self._send = send
        self._on_hopeless = on_hopeless
        self._max_frames = max_frames
        self._queue: deque[Queued] = deque()
        self._gaps: dict[str, tuple[int, int]] = {}
        self._wake = asyncio.Event()
        self.drained = asyncio.Event()
        self._overflows = 0

    def put(self, text: str) -> None:
        """Queue a control frame."""
        self._append(Queued(text))

    def put_readings(self, text: str, device_id: str, first: int, last: int) -> None:
        """Queue a frame with the readings of `device_id` from `first` to `last` (µs)."""
        self._append(Queued(text, device_id, first, last))

    def discard(self, device_id: str) -> None:
        """Forget what is queued for a device whose access ended."""
        self._queue = deque(queued for queued in self._queue if queued.device_id != device_id)
        self._gaps.pop(device_id, None)

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue or self._gaps:
                await self._send(self._next())
                self._overflows = 0
            self.drained.set()

    def _append(self, queued: Queued) -> None:
        self._queue.append(queued)
        if len(self._queue) > self._max_frames:
            self._drop_oldest_readings()
            self._overflows += 1
            if self._overflows == HOPELESS_OVERFLOWS * self._max_frames:
                self._on_hopeless()
        self.drained.clear()
        self._wake.set()

    def _drop_oldest_readings(self) -> None:
        for index, queued in enumerate(self._queue):
            if queued.device_id is not None:
                del self._queue[index]
                first, last = self._gaps.get(queued.device_id, (queued.first, queued.last))
                self._gaps[queued.device_id] = (min(first, queued.first), max(last, queued.last))
                return

    def _next(self) -> str:
        """Gaps come first: what was dropped is older than everything still queued of that device."""
        if self._gaps:
            device_id = next(iter(self._gaps))
            first, last = self._gaps.pop(device_id)
            return protocol.gap(device_id, first, last)
        return self._queue.popleft().text
