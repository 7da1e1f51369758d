"""The websocket routes."""

from typing import Any

from django.urls import path, re_path

from live_app.transports.consumers import LiveConsumer, NoSuchSocket

# Django's stubs do not know that Channels routes ASGI applications with these functions.
live: Any = LiveConsumer.as_asgi()
no_such_socket: Any = NoSuchSocket.as_asgi()

websocket_urlpatterns: list[Any] = [
    path("ws/live", live),
    path("ws/live/<str:device_id>", live),
    re_path(r"", no_such_socket),
]
