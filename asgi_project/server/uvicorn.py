"""uvicorn's protocols, adapted to long-lived connections.

The one for websockets hands its transport to the application, which then writes without a task switch: only data
frames, and only between accept and close; everything else stays uvicorn's. Both let a connection that lasts come to its
end when the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from live_app.delivery.protocol import DRAIN_EXTENSION, TRANSPORT_EXTENSION

DRAIN_SHARE = 0.8  # of the grace, which is also for closing


class Inbox:
    """What uvicorn uses of asyncio.Queue, for one reader, without its four deques: 3 KB of each idle socket."""

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


class DrainedHttpProtocol(HttpToolsProtocol):
    """Named in uvicorn's `http` setting (asgi_project/server/serve.py)."""

    def shutdown(self) -> None:
        """The server stops. It would wait for an event stream until its grace is over."""
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

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the application's task was made just now and has not begun
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[TRANSPORT_EXTENSION] = self.transport

    def start_keepalive(self) -> None:
        """The handshake is over: forget what came of it, 3 KB."""
        super().start_keepalive()
        self.request.headers.clear()  # the parser holds the request as long as the connection lasts
        del self.request, self.response

    def shutdown(self) -> None:
        """The server stops: close with 1012 after what is queued has gone, or as its grace ends."""
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

    def keepalive_timeout(self) -> None:
        """No pong came. What was written to such a peer is never taken, so closing would wait for ever."""
        super().keepalive_timeout()
        self.transport.abort()
