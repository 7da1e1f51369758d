"""A lean way to the hot views, in front of Django's own handler.

Django's handler opens a thread context and sends signals with synchronous receivers for every request; both cost more
than a whole history answer (docs/decisions/003-hot-path.md). Views marked with `hot_view` need neither.
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

from auth_app.http.hot_view import is_hot
from core.errors import BadRequest, Problem, TooLarge, problem_response
from core.streaming import Send, StreamedResponse, stream_send
from telemetry.logs import note_route

_WITHOUT_BODY = (204, 304)
logger = logging.getLogger(__name__)


class Disconnected(Exception):
    """The client went away before its answer was ready."""


class HotHandler:
    """Serves marked views itself and leaves everything else to `cold`."""

    def __init__(self, cold: ASGI3Application) -> None:
        self._cold = cold

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        match = _hot_match(cast(HTTPScope, scope))
        if match is None:
            await self._cold(scope, receive, send)
            return
        try:
            body = await _read_body(receive)
        except Disconnected:
            return
        except Problem as problem:
            await _send_response(problem_response(problem), send)
            return
        request = ASGIRequest(cast(dict[str, Any], scope), BytesIO(body))
        task = cast("asyncio.Task[None]", asyncio.current_task())
        watch = asyncio.create_task(_cancel_when_gone(receive, task))
        try:
            await _send_response(await _answer(match, request), send, is_head=request.method == "HEAD")
        except asyncio.CancelledError:
            if not watch.done():
                raise
            task.uncancel()
        finally:
            watch.cancel()


def _hot_match(scope: HTTPScope) -> ResolverMatch | None:
    try:
        match = get_resolver().resolve(scope["path"])
    except Resolver404:
        return None
    note_route(route_pattern(match.route))
    return match if is_hot(match.func) else None


@lru_cache(maxsize=256)
def route_pattern(route: str) -> str:
    """`/api/history/{device_id}`: how a route is called wherever one is named. The admin's hundred are one."""
    if route.startswith("admin/"):
        return "/admin"
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


async def _answer(match: ResolverMatch, request: ASGIRequest) -> HttpResponseBase:
    try:
        request.get_host()
        response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        if isinstance(response, StreamedResponse) and request.method != "HEAD":
            await response.begin()
        return response
    except Problem as problem:
        return problem_response(problem)
    except DisallowedHost:
        return problem_response(BadRequest("Host: this name is not among ALLOWED_HOSTS."))
    except Exception:  # the last line of defence: an answer, and the whole story in the log
        logger.exception("error in %r", request.path)  # a path may hold line breaks
        return problem_response(Problem("Something went wrong here; it has been logged."))


async def _read_body(receive: ASGIReceiveCallable) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = cast(dict[str, Any], message).get("body", b"")
        size += len(chunk)
        if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(f"body: at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes are accepted.")
        chunks.append(chunk)
        if not cast(dict[str, Any], message).get("more_body", False):
            return b"".join(chunks)


async def _cancel_when_gone(receive: ASGIReceiveCallable, task: asyncio.Task[None]) -> None:
    """A cancelled view cancels its query: nobody waits for the answer any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


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
