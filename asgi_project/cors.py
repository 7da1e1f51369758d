"""CORS: pages of ALLOWED_ORIGINS may use the API, with a token and never with a cookie."""

from __future__ import annotations

from typing import Any, cast

from asgiref.typing import ASGI3Application
from django.conf import settings
from starlette.middleware.cors import CORSMiddleware

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "Content-Type", "If-None-Match", "Last-Event-ID")
EXPOSED_HEADERS = ("ETag", "Retry-After", "Content-Disposition", "WWW-Authenticate", "X-Request-ID")
PREFLIGHT_KEPT_S = 7200  # the longest that Chromium keeps one


def open_to_allowed_origins(application: ASGI3Application) -> ASGI3Application:
    """Wrap `application` in CORS. Returns it unchanged if ALLOWED_ORIGINS is empty: no other origin may read it."""
    if not settings.ALLOWED_ORIGINS:
        return application
    opened: Any = CORSMiddleware(
        cast(Any, application),
        allow_origins=settings.ALLOWED_ORIGINS,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_KEPT_S,
    )
    return cast(ASGI3Application, opened)
