"""uvicorn's websocket protocol, handing its transport to the application, which then writes without a task switch.

Only data frames are written that way, and only between accept and close; everything else stays uvicorn's.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from live_app.protocol import TRANSPORT_EXTENSION


class DirectProtocol(WebSocketsSansIOProtocol):
    """Named in uvicorn's `ws` setting (asgi_project/serve.py)."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # the application's task was made just now and has not begun
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[TRANSPORT_EXTENSION] = self.transport
