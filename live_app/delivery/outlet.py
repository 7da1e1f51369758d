"""The outgoing frames of one socket. Bounded, so that a slow socket costs no other socket anything.

If the server passes on the transport (asgi_project/server/uvicorn.py), frames are written to it directly: all frames
of one iteration of the event loop in one write, without a queue and without a task. If the transport's buffer fills,
or the server passes on no transport, frames go through a queue and ordinary sends.

Overflow rule: the oldest readings are dropped first, and one `gap` frame per device, sent before anything newer of it,
names the span. Control frames are never dropped. A socket that stays too slow, or whose control frames alone exceed the
bound, is closed with 4408.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.singletons import PerLoop
from live_app.delivery import frames
from live_app.delivery.frames import Frame
from live_app.metrics import metrics

TOO_SLOW_OVERFLOWS = 3  # times the queue's length
DIRECT_MAX_BYTES = 64 * 1024  # unsent in the transport: asyncio's own limit for a full buffer


@dataclass(frozen=True, slots=True)
class Queued:
    """A frame in the queue. `device_id` and `last` (µs) are set if the frame moves the cursor of a device.

    `is_droppable`: the frame carries, or names, the readings from `first` to `last`.
    """

    frame: Frame
    device_id: str | None = None
    first: int = 0
    last: int = 0
    is_droppable: bool = False


Send = Callable[[Queued], Awaitable[None]]


class FlushBatch:
    """The outlets with new frames in this iteration of the event loop: one callback writes for all of them."""

    def __init__(self) -> None:
        self._outlets: list[Outlet] = []

    def add(self, outlet: Outlet) -> None:
        if not self._outlets:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outlets.append(outlet)

    def _flush(self) -> None:
        outlets, self._outlets = self._outlets, []
        for outlet in outlets:
            outlet.flush()


flush_batch = PerLoop(FlushBatch)


class Outlet:
    """One per open socket: keep it small.

    `send` waits until the server takes a frame. `transport` is the socket's, if the server passes it on. `on_too_slow`
    is called at least once if the queue overflows many times without a frame going out, or if control frames alone
    exceed `max_bytes`; it must end the session.
    """

    def __init__(
        self,
        send: Send,
        *,
        max_frames: int,
        max_bytes: int,
        on_too_slow: Callable[[], None],
        transport: asyncio.WriteTransport | None = None,
    ) -> None:
        self._send = send
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._on_too_slow = on_too_slow
        self._transport = transport
        self._batch = flush_batch()
        self._burst: list[bytes] = []
        self._is_direct = transport is not None
        self._queue: list[Queued] = []  # short; an empty deque would cost each idle socket 700 bytes
        self._queued_bytes = 0
        self._gaps: dict[str, tuple[int, int]] = {}
        self._overflows = 0
        self._sender: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._is_draining = False
        self._is_closed = False

    @property
    def queued(self) -> int:
        """The number of frames that wait because the socket does not keep up."""
        return len(self._queue)

    def put(self, frame: Frame, *, device_id: str | None = None, us: int | None = None) -> None:
        """Send a control frame. `device_id` and `us` (µs): the cursor that the frame reports."""
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
        """Remove the readings queued for a device whose access ended."""
        self._queue = [q for q in self._queue if not (q.is_droppable and q.device_id == device_id)]
        self._queued_bytes = sum(len(queued.frame.payload) for queued in self._queue)
        self._gaps.pop(device_id, None)
        self._wake_waiting()

    async def room(self) -> None:
        """Wait until the queue is at most half full, so that a long backlog is sent as fast as the socket reads it."""
        await asyncio.sleep(0)  # lets the flush batch write, which shows whether the transport is full
        while not self._has_room:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    async def drain(self, timeout_s: float) -> None:
        """Accept nothing more, and wait until the server has taken every frame, at most `timeout_s`."""
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
        """Write the frames of this iteration of the event loop in one call."""
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
            self._batch.add(self)
        self._burst.append(frame.wire)

    def _append(self, queued: Queued) -> None:
        if self._is_closed or self._is_draining:
            return
        self._queue.append(queued)
        self._queued_bytes += len(queued.frame.payload)
        while len(self._queue) > self._max_frames or self._queued_bytes > self._max_bytes:
            self._overflow()
            if not self._drop_oldest_readings():
                if self._queued_bytes > self._max_bytes:
                    self._on_too_slow()
                break
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_queue())
            metrics.slow[self._sender] = self
            self._sender.add_done_callback(metrics.slow.pop)

    def _overflow(self) -> None:
        self._overflows += 1
        if self._overflows == TOO_SLOW_OVERFLOWS * self._max_frames:
            self._on_too_slow()

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
        """Send until the queue is empty. From then on, frames go to the transport directly again, if there is one."""
        try:
            while self._queue or self._gaps:
                await self._send(self._next())
                metrics.deliveries += 1
                self._overflows = 0
                self._wake_waiting()
        except OSError:
            self._is_closed = True  # the client has gone; the server tells the carrier
        finally:
            self._sender = None
        self._is_direct = self._transport is not None and not self._is_draining

    def _next(self) -> Queued:
        """The next frame. Gaps go first: dropped readings are older than all queued readings of their device."""
        if self._gaps:
            metrics.gaps += 1
            device_id = next(iter(self._gaps))
            first, last = self._gaps.pop(device_id)
            return Queued(frames.gap(device_id, first, last), device_id, first, last, is_droppable=True)
        queued = self._queue.pop(0)
        self._queued_bytes -= len(queued.frame.payload)
        return queued

    @property
    def _has_room(self) -> bool:
        return len(self._queue) <= self._max_frames // 2 and self._queued_bytes <= self._max_bytes // 2

    def _wake_waiting(self) -> None:
        if self._waiting and self._has_room:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
