"""The ASGI entry point: HTTP (static files, hot views, Django), websockets (Channels), lifespan.

Under a server that sends no lifespan the first connection starts the services.
"""

from __future__ import annotations

import gc
import os
from typing import Any, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from django.core.asgi import get_asgi_application

from asgi_project.server.workers import slot_claim

slot_claim()  # before anything is imported that counts
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
django_application = cast(ASGI3Application, get_asgi_application())

# Only now: these import models, for which Django must be set up.
from channels.routing import URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from asgi_project.cookies import cookies_clean  # noqa: E402
from asgi_project.cors import open_to_allowed_origins  # noqa: E402
from asgi_project.headers import with_headers  # noqa: E402
from asgi_project.observability.requests import Observed, is_busy  # noqa: E402
from asgi_project.server.drain import drain  # noqa: E402
from asgi_project.services import services_of_loop  # noqa: E402
from asgi_project.static import static_application  # noqa: E402
from auth_app.http.handler import HotHandler  # noqa: E402
from core.accounts_database import requests_bound  # noqa: E402
from telemetry.logs import note_route  # noqa: E402
from telemetry.tracing import tracing_start  # noqa: E402

API_URL = "/api/"


class Application:
    """Routes a connection by its type and path."""

    def __init__(self) -> None:
        self._http: Any = HotHandler(django_application)
        self._api: Any = open_to_allowed_origins(self._http)
        self._static: Any = static_application()
        self._websocket: Any = URLRouter(import_string(settings.WEBSOCKET_ROUTES))
        self._observed = Observed(self._route)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        services_of_loop()
        if scope["type"] == "http" or scope["type"] == "websocket":
            cookies_clean(scope)
        await self._observed(scope, receive, send)

    async def _route(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http_of(cast(Any, scope)["path"])(scope, receive, with_headers(cast(Any, send)))

    def _http_of(self, path: str) -> Any:
        if path.startswith(API_URL):
            return self._api
        if path.startswith(settings.STATIC_URL):
            note_route("static")
            return self._static
        return self._http


async def _lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Start the services, serve, close them: also when the server cancels this call instead of sending a shutdown.

    An exception here makes the server report that the startup or the shutdown failed (ASGI, lifespan protocol).
    """
    raw_send = cast(Any, send)
    await receive()  # lifespan.startup
    async with services_of_loop():
        drain.watch(is_busy)
        gc.freeze()  # what is loaded now stays: searching it for garbage again and again would pause all sockets
        await raw_send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
    await raw_send({"type": "lifespan.shutdown.complete"})


requests_bound()
tracing_start(settings.OTEL_EXPORTER_OTLP_ENDPOINT, service="wattstream-server")
application = Application()
