"""Public views: hot views that need no credentials and change nothing."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase

from core.hot import READ_METHODS, Hot, hot_mark


def public_view(view: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> Callable[..., Any]:
    """Make an async view public and hot. It accepts GET and HEAD, and raises problems."""
    hot_mark(view, Hot(READ_METHODS, scope=None))
    return view


def unchanging(request: HttpRequest, body: bytes, content_type: str) -> HttpResponse:
    """A body that is the same until the next release: kept by clients, who ask each time whether it still is."""
    tag = f'"{zlib.crc32(body):08x}{len(body):x}"'
    headers = {"ETag": tag, "Cache-Control": "public, no-cache", "X-Content-Type-Options": "nosniff"}
    asked = request.headers.get("If-None-Match", "")
    if tag in [item.strip().removeprefix("W/") for item in asked.split(",")] or asked.strip() == "*":
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type=content_type, headers=headers)
