"""Serves hot views, in front of Django's own handler.

Django's handler opens a thread context and sends signals with synchronous receivers for every request. Both cost more
than a whole history response (docs/decisions/003-hot-path.md), and hot views need neither.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import lru_cache
from io import BytesIO
from typing import Any, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, get_resolver

from auth_app.audit.denials import problem_denied
from auth_app.credentials import remote_address
from auth_app.http.body import cold_body, length_announced, length_require
from auth_app.http.hot_view import identify_request
from auth_app.scopes import TokenScope
from core.errors import (
    BadRequest,
    MethodNotAllowed,
    Problem,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from core.hot import hot_of
from core.problems import problem_response
from core.streaming import Send, StreamedResponse, stream_send
from telemetry.logs import note_route

_WITHOUT_BODY = (204, 304)
logger = logging.getLogger(__name__)


class Disconnected(Exception):
    """The client closed the connection before its request was complete."""


class HotHandler:
    """Serves hot views and passes every other request to `cold`."""

    def __init__(self, cold: ASGI3Application) -> None:
        self._cold = cold

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        match = _match(cast(HTTPScope, scope))
        if match is None or hot_of(match.func) is None:
            await self._serve_cold(match, cast(HTTPScope, scope), receive, send)
            return
        body = BytesIO()
        request = ASGIRequest(cast(dict[str, Any], scope), body)
        watch = _Watch(receive)
        try:
            response = await _respond(match, request, body, watch)
            await _send_response(response, send, is_head=request.method == "HEAD")
        except Disconnected:
            return
        except asyncio.CancelledError:
            if not watch.has_cancelled:
                raise
            watch.request_task.uncancel()
        finally:
            watch.close()

    async def _serve_cold(
        self, match: ResolverMatch | None, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        try:
            await self._cold(scope, await cold_body(scope, receive, match), send)
        except (BadRequest, TooLarge, Unauthorized, Unavailable) as problem:  # of its body; nothing was sent yet
            await _send_response(problem_response(problem), send)


class _Watch:
    """Reads from the client on behalf of one request: its body, and after that the end of its connection."""

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self.request_task = cast("asyncio.Task[None]", asyncio.current_task())
        self._task: asyncio.Task[None] | None = None
        self.has_cancelled = False

    async def read_body(self, body: BytesIO, announced: int | None, limit: int) -> None:
        """Fill `body` with at most `limit` bytes. Raises `TooLarge`, `Disconnected`."""
        length_require(announced or 0, limit)
        more = True
        while more:
            message = cast(dict[str, Any], await self._receive())
            if message["type"] == "http.disconnect":
                raise Disconnected
            body.write(message.get("body", b""))
            length_require(body.tell(), limit)
            more = message.get("more_body", False)
        body.seek(0)

    def start(self) -> None:
        """From now on a disconnect cancels the request, which cancels its statement in the database."""
        self._task = asyncio.create_task(self._wait())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_cancelled = self.request_task.cancel()


def _match(scope: HTTPScope) -> ResolverMatch | None:
    try:
        match = get_resolver().resolve(scope["path"])
    except Resolver404:
        return None
    note_route(route_pattern(match.route))
    return match


@lru_cache(maxsize=256)
def route_pattern(route: str) -> str:
    """The name of a route in logs, metrics and traces, e.g. `/api/history/{device_id}`; one for the whole admin."""
    if route.startswith("admin/"):
        return "/admin"
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


async def _respond(match: ResolverMatch, request: ASGIRequest, body: BytesIO, watch: _Watch) -> HttpResponseBase:
    """The response of a hot view. The only place where a problem of one becomes a response.

    Credentials are checked before the body is read.
    """
    hot = hot_of(match.func)
    assert hot is not None
    identity = None
    try:
        request.get_host()
        if request.method not in hot.methods:
            raise MethodNotAllowed(hot.methods)
        arguments = match.args
        if hot.scope is not None:
            identity = await identify_request(request)
            identity.require(TokenScope(hot.scope))
            arguments = (identity, *arguments)
        limit = settings.HTTP_ANONYMOUS_BODY_MAX_BYTES if identity is None else settings.HTTP_BODY_MAX_BYTES
        await watch.read_body(body, length_announced(cast(HTTPScope, request.scope)), limit)
        watch.start()
        response: HttpResponseBase = await match.func(request, *arguments, **match.kwargs)
        if isinstance(response, StreamedResponse) and request.method != "HEAD":
            await response.begin()
        return response
    except Problem as problem:
        problem_denied(problem, identity=identity, what=match.func.__name__, address=remote_address(request))
        return problem_response(problem)
    except DisallowedHost:
        return problem_response(BadRequest("Host: this name is not among ALLOWED_HOSTS."))
    except Disconnected:
        raise
    except Exception:  # the last resort: a response for the client, the traceback for the log
        logger.exception("error in %r", request.path)  # a path may contain line breaks
        return problem_response(Problem("Something went wrong here; it has been logged."))


async def _send_response(response: HttpResponseBase, send: ASGISendCallable, *, is_head: bool = False) -> None:
    raw_send = cast(Send, send)
    headers = [(name.encode("ascii").lower(), value.encode("latin-1")) for name, value in response.items()]
    if isinstance(response, StreamedResponse) and not is_head:
        await stream_send(response, raw_send, headers=headers)
        return
    body = response.content if isinstance(response, HttpResponse) else b""
    if isinstance(response, HttpResponse) and response.status_code not in _WITHOUT_BODY:
        headers.append((b"content-length", str(len(body)).encode()))
    await raw_send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await raw_send({"type": "http.response.body", "body": body})
