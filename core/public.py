"""Views for everybody: no credentials, nothing that changes anything."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from core.errors import MethodNotAllowed, Problem, problem_response

_ACCEPTED = ("GET", "HEAD")


def public_view(view: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> Callable[..., Any]:
    """Make an async view answer GET and HEAD, to anybody, with problems turned into answers."""

    @wraps(view)
    async def public(request: HttpRequest) -> HttpResponseBase:
        try:
            if request.method not in _ACCEPTED:
                raise MethodNotAllowed(_ACCEPTED)
            return await view(request)
        except Problem as problem:
            return problem_response(problem)

    public.methods = _ACCEPTED  # type: ignore[attr-defined]
    return csrf_exempt(public)


def unchanging(request: HttpRequest, body: bytes, content_type: str) -> HttpResponse:
    """A body that is the same until the next release: kept by clients, who ask each time whether it still is."""
    tag = f'"{zlib.crc32(body):08x}{len(body):x}"'
    headers = {"ETag": tag, "Cache-Control": "public, no-cache", "X-Content-Type-Options": "nosniff"}
    asked = request.headers.get("If-None-Match", "")
    if tag in [item.strip().removeprefix("W/") for item in asked.split(",")] or asked.strip() == "*":
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type=content_type, headers=headers)
