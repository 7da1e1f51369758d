"""Run with: uvicorn bench.peers.textbook.asgi:application (settings from the environment, like wattstream)."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.textbook.settings"
application = get_asgi_application()
