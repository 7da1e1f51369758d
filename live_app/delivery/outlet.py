"""The way out of one socket, bounded, so that no socket waits for another.

Where the server hands over the transport (asgi_project/server/uvicorn.py), frames are written to it directly: all
frames of one turn of the event loop in one write, without a queue and without a task. A transport that does not get
rid of what it was given, or a server without that extension, gets its frames through a queue and ordinary sends.

Overflow rule: the oldest readings go first, and one `gap` frame a device, sent before anything newer of it, tells
the span. Control frames are never dropped. A socket that stays too slow for too long is closed with 4408.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from live_app.delivery import protocol
from live_app.delivery.protocol import Frame
from live_app.metrics import metrics

HOPELESS_OVERFLOWS = 3  # times the queue's length
DIRECT_MAX_BYTES = 64 * 1024  # unsent in the transport; what asyncio itself takes for a full buffer


@dataclass(frozen=True, slots=True)
class Queued:
    """A frame on its way. For one that moves a device's cursor: of which device, and to when (`last`, µs).

    `is_droppable`: it carries, or names, the readings from `first` to `last`.
    """

    frame: Frame
    device_id: str | None = None
    first: int = 0
    last: int = 0
    is_droppable: bool = False


Send = Callable[[Queued], Awaitable[None]]


class Turn:
    """The outlets that were given something in this turn of the event loop: one callback writes for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outlets: list[Outlet] = []

    def add(self, outlet: Outlet) -> None:
        if not self._outlets:
            self._loop.call_soon(self._flush)
        self._outlets.append(outlet)

    def _flush(self) -> None:
        outlets, self._outlets = self._outlets, []
        for outlet in outlets:
            outlet.flush()


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def turn_of_loop() -> Turn:
    """The turn of the running loop."""
    loop = asyncio.get_running_loop()
    return _turns.setdefault(loop, Turn(loop))


class Outlet:
    """`send` waits until the server takes a frame. `transport` is the socket's own, where the server gives it.

    `on_hopeless` is called once when the queue overflowed many times over without a single frame going out.
    """

    def __init__(
        self,
        send: Send,
        *,
        max_frames: int,
        max_bytes: int,
        on_hopeless: Callable[[], None],
        transport: asyncio.WriteTransport | None = None,
    ) -> None:
        self._send = send
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._on_hopeless = on_hopeless
        self._transport = transport
        self._turn = turn_of_loop()
        self._burst: list[bytes] = []
        self._is_direct = transport is not None
        self._queue: list[Queued] = []  # short; an empty deque is 700 bytes of each idle socket
        self._queued_bytes = 0
        self._gaps: dict[str, tuple[int, int]] = {}
        self._overflows = 0
        self._sender: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._is_draining = False
        self._is_closed = False

    @property
    def queued(self) -> int:
        """Frames that wait because the socket does not keep up."""
        return len(self._queue)

    def put(self, frame: Frame, *, device_id: str | None = None, us: int | None = None) -> None:
        """Send a control frame; for one that tells the cursor of a device, which one (µs)."""
        if self._is_direct:
            self._write(frame)
        else:
            self._append(Queued(frame, device_id, last=us or 0))

    def put_readings(self, frame: Frame, device_id: str, first: int, last: int) -> None:
        """Send a frame with the readings of `device_id` from `first` to `last` (µs)."""
        if self._is_direct:
            self._write(frame)
        else:
            self._append(Queued(frame, device_id, first, last, is_droppable=True))

    def discard(self, device_id: str) -> None:
        """Forget what is queued for a device whose access ended."""
        self._queue = [q for q in self._queue if not (q.is_droppable and q.device_id == device_id)]
        self._queued_bytes = sum(len(queued.frame.payload) for queued in self._queue)
        self._gaps.pop(device_id, None)
        self._tell_room()

    async def room(self) -> None:
        """Wait until the queue is at most half full: what is long goes out piece by piece, as the socket takes it."""
        await asyncio.sleep(0)  # now the transport has what this turn brought, and may prove slow
        while not self._has_room:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    async def drain(self, timeout_s: float) -> None:
        """Take nothing more, and wait until everything has been handed to the server, at most `timeout_s`."""
        self.flush()
        self._is_draining, self._is_direct = True, False
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=timeout_s)

    def close(self) -> None:
        """Send nothing more."""
        self.flush()
        self._is_closed = True
        if self._sender is not None:
            self._sender.cancel()

    def flush(self) -> None:
        """Write what this turn of the loop brought, in one go."""
        burst, self._burst = self._burst, []
        transport = self._transport
        if not burst or transport is None or self._is_closed or transport.is_closing():
            return
        metrics.deliveries += len(burst)
        transport.write(burst[0] if len(burst) == 1 else b"".join(burst))
        if transport.get_write_buffer_size() > DIRECT_MAX_BYTES:
            self._is_direct = False

    def _write(self, frame: Frame) -> None:
        if not self._burst:
            self._turn.add(self)
        self._burst.append(frame.wire)

    def _append(self, queued: Queued) -> None:
        if self._is_closed or self._is_draining:
            return
        self._queue.append(queued)
        self._queued_bytes += len(queued.frame.payload)
        while len(self._queue) > self._max_frames or self._queued_bytes > self._max_bytes:
            self._overflow()
            if not self._drop_oldest_readings():
                break
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_queue())
            metrics.slow[self._sender] = self
            self._sender.add_done_callback(metrics.slow.pop)

    def _overflow(self) -> None:
        self._overflows += 1
        if self._overflows == HOPELESS_OVERFLOWS * self._max_frames:
            self._on_hopeless()

    def _drop_oldest_readings(self) -> bool:
        for index, queued in enumerate(self._queue):
            if queued.is_droppable and queued.device_id is not None:
                metrics.dropped += 1
                del self._queue[index]
                self._queued_bytes -= len(queued.frame.payload)
                first, last = self._gaps.get(queued.device_id, (queued.first, queued.last))
                self._gaps[queued.device_id] = (min(first, queued.first), max(last, queued.last))
                return True
        return False

    async def _send_queue(self) -> None:
        """Until the queue is empty; then the transport, where there is one, is written to directly again."""
        try:
            while self._queue or self._gaps:
                await self._send(self._next())
                metrics.deliveries += 1
                self._overflows = 0
                self._tell_room()
        except OSError:
            self._is_closed = True  # the client is gone; the server tells the carrier
        finally:
            self._sender = None
        self._is_direct = self._transport is not None and not self._is_draining

    def _next(self) -> Queued:
        """Gaps come first: what was dropped is older than everything still queued of that device."""
        if self._gaps:
            metrics.gaps += 1
            device_id = next(iter(self._gaps))
            first, last = self._gaps.pop(device_id)
            return Queued(protocol.gap(device_id, first, last), device_id, first, last, is_droppable=True)
        queued = self._queue.pop(0)
        self._queued_bytes -= len(queued.frame.payload)
        return queued

    @property
    def _has_room(self) -> bool:
        return len(self._queue) <= self._max_frames // 2 and self._queued_bytes <= self._max_bytes // 2

    def _tell_room(self) -> None:
        if self._waiting and self._has_room:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
