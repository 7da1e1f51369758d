"""The outgoing frames of one socket. Bounded, so that a slow socket costs no other socket anything.

If the server passes on the transport (asgi_project/server/uvicorn.py), frames are written to it directly: all frames
of one iteration of the event loop in one write, without a queue and without a task. If the transport's buffer fills,
or the server passes on no transport, frames go through a queue and ordinary sends.

A socket that stays too slow is closed with 4408.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from core.singletons import PerLoop
from live_app.delivery.frames import Frame
from live_app.delivery.queue import Queued, SendQueue
from live_app.metrics import metrics

DIRECT_MAX_BYTES = 64 * 1024  # unsent in the transport: asyncio's own limit for a full buffer


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
    is called when the queue says so (delivery/queue.py), for every further frame again; it must end the session.
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
        self._queue: SendQueue | None = None
        self._sender: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._is_draining = False
        self._is_closed = False

    @property
    def queued(self) -> int:
        """The number of frames that wait because the socket does not keep up."""
        return 0 if self._queue is None else len(self._queue)

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
        if self._queue is not None:
            self._queue.discard(device_id)
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
        if self._queue is None:
            self._queue = SendQueue(max_frames=self._max_frames, max_bytes=self._max_bytes)
        self._queue.put(queued)
        if self._queue.is_too_slow:
            self._on_too_slow()
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(self._queue))
            metrics.slow[self._sender] = self
            self._sender.add_done_callback(metrics.slow.pop)

    async def _send_all(self, queue: SendQueue) -> None:
        """Send until the queue is empty. From then on, frames go to the transport directly again, if there is one."""
        try:
            while not queue.is_empty:
                await self._send(queue.take())
                metrics.deliveries += 1
                self._wake_waiting()
        except OSError:
            self._is_closed = True  # the client has gone; the server tells the carrier
        finally:
            self._sender = self._queue = None
        self._is_direct = self._transport is not None and not self._is_draining

    @property
    def _has_room(self) -> bool:
        return self._queue is None or self._queue.has_room

    def _wake_waiting(self) -> None:
        if self._waiting and self._has_room:
            waiting, self._waiting = self._waiting, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)
