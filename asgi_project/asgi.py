"""The ASGI entry point: http (static files, hot views, Django), websocket (Channels), lifespan.

Servers that send no lifespan (daphne) work too: whatever is needed is opened by the first connection.
"""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import suppress
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

from asgi_project.cors import open_to_allowed_origins  # noqa: E402
from asgi_project.headers import with_headers  # noqa: E402
from asgi_project.observability.metrics import publish_for_ever  # noqa: E402
from asgi_project.observability.requests import Observed, is_busy  # noqa: E402
from asgi_project.server.daphne import PacedResponse, SocketTransport, before_daphne_stops, daphne_protocol  # noqa: E402
from asgi_project.server.drain import drain  # noqa: E402
from asgi_project.static import static_application  # noqa: E402
from auth_app.http.handler import HotHandler  # noqa: E402
from core.accounts_database import accounts_close, requests_bound  # noqa: E402
from devices_app.housekeeping import housekeeper_of_loop  # noqa: E402
from history_app.store.last_seen import last_seen_close  # noqa: E402
from history_app.store.pool import pool_close  # noqa: E402
from live_app.access.guard import guard_of_loop  # noqa: E402
from live_app.delivery.protocol import TRANSPORT_EXTENSION  # noqa: E402
from live_app.hub import hub_of_loop  # noqa: E402
from live_app.routing import websocket_urlpatterns  # noqa: E402
from telemetry.logs import note_route  # noqa: E402
from telemetry.tracing import tracing_start, tracing_stop  # noqa: E402

API_URL = "/api/"
TRACING_STOP_TIMEOUT_S = 5
DRAIN_SHARE = 0.8  # of the grace, which is also for closing
FLUSH_S = 0.1  # Twisted drops what it has not written when it stops


class Application:
    """Routes a connection by its type and path."""

    def __init__(self) -> None:
        self._http: Any = HotHandler(django_application)
        self._api: Any = open_to_allowed_origins(self._http)
        self._static: Any = static_application()
        self._websocket: Any = URLRouter(websocket_urlpatterns)
        self._observed = Observed(self._route)
        self._waits_for_sessions = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        hub_of_loop()
        guard_of_loop()
        housekeeper_of_loop()
        if protocol := daphne_protocol(send):
            await self._paced(protocol, scope, receive, send)
        else:
            await self._observed(scope, receive, send)

    async def _paced(self, protocol: Any, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Under daphne."""
        if not self._waits_for_sessions:
            self._waits_for_sessions = True
            before_daphne_stops(self._stop)
        if scope["type"] == "websocket":
            transport = SocketTransport(protocol)
            cast(Any, scope)["extensions"] = {TRANSPORT_EXTENSION: transport}
            await self._observed(scope, receive, cast(Any, transport.paced(cast(Any, send))))
            return
        response = PacedResponse(protocol, cast(Any, send))
        try:
            await self._observed(scope, receive, cast(Any, response))
        finally:
            response.close()

    async def _stop(self) -> None:
        await guard_of_loop().restart(settings.SHUTDOWN_GRACE_S * DRAIN_SHARE)
        await housekeeper_of_loop().close()
        await asyncio.sleep(FLUSH_S)

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

    async def _lifespan(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        raw_send = cast(Any, send)
        publishing: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                hub_of_loop()
                guard_of_loop()
                housekeeper_of_loop()
                drain.watch(is_busy)
                publishing = asyncio.create_task(publish_for_ever(), name="metrics")
                gc.freeze()  # what is loaded stays: to search it for garbage again and again stops all sockets
                await raw_send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await guard_of_loop().close()
                await hub_of_loop().close()
                await housekeeper_of_loop().close()
                await pool_close()
                await asyncio.to_thread(last_seen_close)
                await asyncio.to_thread(accounts_close)
                if publishing is not None:
                    publishing.cancel()
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.to_thread(tracing_stop), TRACING_STOP_TIMEOUT_S)
                await raw_send({"type": "lifespan.shutdown.complete"})
                return


requests_bound()
tracing_start(settings.OTEL_EXPORTER_OTLP_ENDPOINT, service="wattstream-server")
application = Application()
