"""The live stream over HTTP."""

from __future__ import annotations

from typing import Any, cast

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from auth_app.credentials import remote_address
from auth_app.http.hot_view import hot_view
from auth_app.identity import Identity
from auth_app.scopes import TokenScope
from core.openapi import described
from core.streaming import StreamedResponse
from devices_app.access import access_require
from live_app.delivery.protocol import DRAIN_EXTENSION
from live_app.hub import hub_of_loop
from live_app.openapi import EVENT_STREAM
from live_app.transports.event_stream import CONTENT_TYPE, EventStream, event_stream_parse

HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",  # else nginx buffers
}


@described(EVENT_STREAM)
@hot_view("GET", scope=TokenScope.LIVE)
async def event_stream(request: HttpRequest, identity: Identity) -> StreamedResponse:
    parameters = {name: str(value) for name, value in request.GET.items()}
    asked = event_stream_parse(parameters, request.headers.get("Last-Event-ID"))
    await access_require(identity.user_id, asked.devices)
    stream = EventStream(identity, asked, hub=hub_of_loop(), address=remote_address(request))
    scope = cast(dict[str, Any], cast(ASGIRequest, request).scope)
    scope.setdefault("extensions", {})[DRAIN_EXTENSION] = stream.restart
    return StreamedResponse(stream.chunks(), headers=HEADERS)
