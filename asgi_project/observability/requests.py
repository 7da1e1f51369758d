"""Wraps the application: every request and socket gets an id and is counted, timed, logged and traced.

That costs a few microseconds per request (docs/decisions/014-operations.md) and nothing per frame: frames do not pass
through here.
"""

from __future__ import annotations

import logging
import random
import re
import time
from typing import Any, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope
from django.conf import settings

from asgi_project.observability.metrics import DENIALS, REQUEST_SECONDS, REQUESTS, exporter
from live_app.metrics import metrics as live
from telemetry.logs import CONTEXT, LogContext
from telemetry.tracing import request_span

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
CLIENT_LEFT = 499  # as nginx calls it
UNMATCHED = "unmatched"
QUIET = {"static", "/livez", "/readyz", "/metrics"}  # requested all the time; counted, but not logged
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
DENIED_STATUS = {401: "unauthorized", 403: "forbidden", 429: "too_many_attempts"}
DENIED_CLOSE = {4401: "unauthenticated", 4403: "forbidden", 4429: "too_many"}
KNOWN_CLOSES = {1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 1012, 4400, 4401, 4403, 4408, 4429}
ABNORMAL = 1006  # the connection broke (RFC 6455, section 7.1.5)
REFUSED = "refused"  # at the handshake, with 403
logger = logging.getLogger("asgi_project.access")


class Observed:
    """Passes every connection to `application`."""

    def __init__(self, application: ASGI3Application) -> None:
        self._application: Any = application

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            socket = _Socket(scope, send)
            try:
                await self._application(scope, receive, socket.send)
            finally:
                socket.done()
        else:
            await self._application(scope, receive, send)

    async def _request(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: Any) -> None:
        started = time.perf_counter()
        context = LogContext(request=_id(scope))
        CONTEXT.set(context)
        header = (b"x-request-id", cast(str, context.request).encode())
        status = CLIENT_LEFT

        async def send_with_id(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], header]
            await send(message)

        exporter.requests_open += 1
        try:
            with request_span(_parent(scope)) as span:
                try:
                    await self._application(scope, receive, send_with_id)
                finally:
                    _name(span, scope, context, status)
        except Exception:
            status = 500
            raise
        finally:
            exporter.requests_open -= 1
            _request_done(scope, context, status, time.perf_counter() - started)


class _Socket:
    """The record of an open socket. One per socket, so it is small and holds no task or closure."""

    __slots__ = ("_context", "_is_open", "_send", "_sent_code", "_started")

    def __init__(self, scope: WebSocketScope, send: Any) -> None:
        self._started = time.monotonic()
        self._context = LogContext(socket=_id(scope), route="/ws/live")
        self._send = send
        self._is_open = False
        self._sent_code = 0
        CONTEXT.set(self._context)

    def send(self, message: Any) -> Any:
        if message["type"] == "websocket.accept":
            self._is_open = True
            live.sockets += 1
            header = (b"x-request-id", cast(str, self._context.socket).encode())
            message["headers"] = [*message.get("headers", ()), header]
        elif message["type"] == "websocket.close":
            self._sent_code = self._sent_code or message.get("code", 1000)
        return self._send(message)

    def done(self) -> None:
        live.sockets -= self._is_open
        code = self._sent_code or self._context.closed or ABNORMAL
        _socket_done(code if self._is_open else None, time.monotonic() - self._started)


def is_busy() -> bool:
    """Whether a request or a socket is open."""
    return exporter.requests_open > 0 or live.sockets > 0


def _request_done(scope: HTTPScope, context: LogContext, status: int, seconds: float) -> None:
    route = context.route or UNMATCHED
    method = scope["method"] if scope["method"] in METHODS else "other"
    REQUESTS.labels(route, method, str(status)).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    if status in DENIED_STATUS:
        DENIALS.labels("http", DENIED_STATUS[status]).inc()
    ms = seconds * 1000
    if status < 400 and (route in QUIET or ms < settings.ACCESS_LOG_MIN_MS):
        return
    level = logging.WARNING if status >= 500 else logging.INFO
    if logger.isEnabledFor(level):
        fields = {"method": method, "route": route, "status": status, "ms": round(ms, 3)}
        logger.log(level, "%s %s %s in %.1f ms", method, route, status, ms, extra={"fields": fields})


def _socket_done(code: int | None, seconds: float) -> None:
    """`code`: None if the socket was refused at the handshake."""
    if code is None:
        live.closes[REFUSED] += 1
        DENIALS.labels("handshake", REFUSED).inc()
    else:
        live.closes[str(code) if code in KNOWN_CLOSES else "other"] += 1
        if code in DENIED_CLOSE:
            DENIALS.labels("socket", DENIED_CLOSE[code]).inc()
    fields = {"code": code or REFUSED, "s": round(seconds, 3)}
    logger.info("socket closed with %s after %.1f s", code or REFUSED, seconds, extra={"fields": fields})


def _id(scope: HTTPScope | WebSocketScope) -> str:
    """The X-Request-ID of a trusted forwarder if it is valid, else a new id.

    uvicorn sets the client's port to 0 if such a forwarder has named the address.
    """
    if _is_forwarded(scope):
        for name, value in scope["headers"]:
            if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
                return value.decode("ascii")
    return f"{random.getrandbits(64):016x}"  # unique, not secret


def _is_forwarded(scope: HTTPScope | WebSocketScope) -> bool:
    client = scope["client"]
    return client is not None and client[1] == 0


def _parent(scope: HTTPScope) -> dict[str, str]:
    """The trace context of a trusted forwarder."""
    if not _is_forwarded(scope):
        return {}
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"}


def _name(span: Any, scope: HTTPScope, context: LogContext, status: int) -> None:
    route = context.route or UNMATCHED
    span.update_name(f"{scope['method']} {route}")
    span.set_attribute("http.request.method", scope["method"])
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    span.set_attribute("wattstream.request_id", context.request or "")
