"""The websocket routes."""

from django.urls import path, re_path

from live_app.consumers import LiveConsumer, NoSuchSocket

websocket_urlpatterns = [
    path("ws/live", LiveConsumer.as_asgi()),
    path("ws/live/<str:device_id>", LiveConsumer.as_asgi()),
    re_path(r"", NoSuchSocket.as_asgi()),
]
