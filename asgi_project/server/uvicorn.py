"""uvicorn's protocols, adapted to long-lived connections.

The websocket protocol passes its transport to the application, which then writes without a task switch: only data
frames, and only between accept and close. It reads no more from a client than the client reads: what the server
would have to buffer for it stays bounded. Both protocols let a connection end in order when the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from asgi_project.server.incoming import BoundedHttpProtocol
from live_app.delivery.protocol import DRAIN_EXTENSION, TRANSPORT_EXTENSION

DRAIN_SHARE = 0.8  # of the grace, which must also suffice for closing
PARSED_AT_ONCE = 4096  # bytes: a client's 250 KB of pings in one read would stop the event loop for half a second
READ_WHILE_FULL_BYTES = 16 * 1024  # pongs and requests of a client that is slow, but reads
PINGS_PER_SECOND = 100
AFTER_CLOSE_MAX_BYTES = 128 * 1024
CLOSE_TIMEOUT_S = 5.0


class Inbox:
    """The part of asyncio.Queue that uvicorn uses, for one reader. Saves each idle socket four deques, 3 kB."""

    __slots__ = ("_events", "_reader")

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, event: Any) -> None:
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def empty(self) -> bool:
        return not self._events

    async def get(self) -> Any:
        if not self._events:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._events.pop(0)


class DrainedHttpProtocol(BoundedHttpProtocol):
    """Named in uvicorn's `http` setting (asgi_project/server/serve.py)."""

    def shutdown(self) -> None:
        """The server stops: end an event stream, for which uvicorn would wait until its grace is over."""
        super().shutdown()
        if self.cycle is None or self.cycle.response_complete:
            return
        extensions: dict[str, Any] = self.cycle.scope.get("extensions") or {}
        if drain := extensions.get(DRAIN_EXTENSION):
            task = self.loop.create_task(drain((self.config.timeout_graceful_shutdown or 0) * DRAIN_SHARE))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)


class DirectProtocol(WebSocketsSansIOProtocol):
    """Named in uvicorn's `ws` setting (asgi_project/server/serve.py)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue: Any = Inbox()
        self._unparsed = b""
        self._allowance = READ_WHILE_FULL_BYTES
        self._ping_second = self._pings = self._after_close = 0

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the application's task exists but has not started yet
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[TRANSPORT_EXTENSION] = self.transport

    def start_keepalive(self) -> None:
        """The handshake is over: release its 3 kB."""
        super().start_keepalive()
        self.request.headers.clear()  # the parser holds the request as long as the connection lasts
        del self.request, self.response

    # --- reading: paused while messages wait for the application, or the client does not read ---

    def data_received(self, data: bytes) -> None:
        if self._unparsed:
            data, self._unparsed = self._unparsed + data, b""
        if self.close_sent:
            self._after_close += len(data)
            if self._after_close > AFTER_CLOSE_MAX_BYTES:
                self.transport.abort()
        for start in range(0, len(data), PARSED_AT_ONCE):
            if self.transport.is_closing():
                return
            if not self._may_read:
                self._unparsed = data[start:]
                self.transport.pause_reading()
                return
            piece = data[start : start + PARSED_AT_ONCE]
            if not self.writable.is_set():
                self._allowance -= len(piece)
            super().data_received(piece)

    async def receive(self) -> Any:
        """As uvicorn's, but reading goes on only while the client reads too."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._resume_reading()
        return message

    def resume_writing(self) -> None:
        super().resume_writing()
        self._allowance = READ_WHILE_FULL_BYTES
        self._resume_reading()

    @property
    def _may_read(self) -> bool:
        return self._allowance > 0 and not self.read_paused

    def _resume_reading(self) -> None:
        if self._unparsed and self._may_read:
            data, self._unparsed = self._unparsed, b""
            self.data_received(data)
        if self._may_read and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_ping(self) -> None:
        """Answer at most PINGS_PER_SECOND; none after the close frame."""
        second = int(self.loop.time())
        if second != self._ping_second:
            self._ping_second, self._pings = second, 0
        self._pings += 1
        if self._pings > PINGS_PER_SECOND:
            self.transport.abort()
        elif self.close_sent:
            self.conn.data_to_send()
        else:
            super().handle_ping()

    # --- the end: no connection outlives a close by more than CLOSE_TIMEOUT_S ---

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        self._abort_later()

    def handle_close(self, event: Any) -> None:
        super().handle_close(event)
        self._abort_later()

    def _abort_later(self) -> None:
        """A peer that reads nothing never takes what was written to it, so `close` alone would never end."""
        if self.transport.get_write_buffer_size():
            self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """No pong came: the peer will not read a close frame either."""
        super().keepalive_timeout()
        self.transport.abort()

    def shutdown(self) -> None:
        """The server stops: close with 1012 after the queued frames have gone, or at the end of the grace."""
        extensions: dict[str, Any] = self.scope["extensions"] if hasattr(self, "scope") else {}
        drain = extensions.get(DRAIN_EXTENSION)
        if drain is None or self.close_sent:
            super().shutdown()
            return
        task = self.loop.create_task(self._shutdown_after(drain))
        self.tasks.add(task)
        task.add_done_callback(self.on_task_complete)

    async def _shutdown_after(self, drain: Callable[[float], Awaitable[None]]) -> None:
        await drain((self.config.timeout_graceful_shutdown or 0) * DRAIN_SHARE)
        if not self.transport.is_closing():
            super().shutdown()
