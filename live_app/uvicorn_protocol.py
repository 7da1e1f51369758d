"""uvicorn's websocket protocol, handing its transport to the application, which then writes without a task switch.

Only data frames are written that way, and only between accept and close; everything else stays uvicorn's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from live_app.protocol import DRAIN_EXTENSION, TRANSPORT_EXTENSION

DRAIN_SHARE = 0.8  # of the grace, which is also for closing


class DirectProtocol(WebSocketsSansIOProtocol):
    """Named in uvicorn's `ws` setting (asgi_project/serve.py)."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the application's task was made just now and has not begun
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[TRANSPORT_EXTENSION] = self.transport

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
