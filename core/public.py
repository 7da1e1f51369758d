"""Public views: hot views that need no credentials and change nothing."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from core.hot import READ_METHODS, Hot, hot_mark


def public_view(view: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> Callable[..., Any]:
    """Make an async view public and hot. It accepts GET and HEAD, and raises problems."""
    hot_mark(view, Hot(READ_METHODS, scope=None))
    return view


def etag_matches(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names the tag, by weak comparison (RFC 9110, section 13.1.2)."""
    named = parse_etags(if_none_match)
    return named == ["*"] or etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in named]


def unchanging(request: HttpRequest, body: bytes, content_type: str) -> HttpResponse:
    """A body that is the same until the next release: clients keep it and revalidate it each time."""
    tag = f'"{zlib.crc32(body):08x}{len(body):x}"'
    headers = {"ETag": tag, "Cache-Control": "public, no-cache", "X-Content-Type-Options": "nosniff"}
    if etag_matches(request.headers.get("If-None-Match", ""), tag):
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type=content_type, headers=headers)
