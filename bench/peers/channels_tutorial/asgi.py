"""Run with: daphne bench.peers.channels_tutorial.asgi:application"""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.channels_tutorial.settings"

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench.peers.channels_tutorial.consumers import LiveConsumer  # noqa: E402

application = ProtocolTypeRouter(
    {"http": django_application, "websocket": URLRouter([path("live", LiveConsumer.as_asgi())])}
)
