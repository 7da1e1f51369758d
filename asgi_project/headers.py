"""Security and caching headers of every HTTP response, hot, cold and static: the only place that sets them.

They are built when the process starts and added while a response is sent. docs/security.md states the purpose of each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from django.conf import settings

Header = tuple[bytes, bytes]
Send = Callable[[Any], Awaitable[None]]

# Pages: files of this host only, nothing inline. 'self' covers the websocket of the same host (CSP 3).
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Everything else is data. A browser that displays it as a document loads and runs nothing.
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Permissions that a page could request; ours request none.
PERMISSIONS = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")


def _encoded(named: Mapping[str, str]) -> tuple[Header, ...]:
    return tuple((name.encode(), value.encode()) for name, value in named.items())


def _for_data() -> dict[str, str]:
    named = {
        "content-security-policy": DATA_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": settings.X_FRAME_OPTIONS,  # for browsers that do not know frame-ancestors
        "referrer-policy": settings.SECURE_REFERRER_POLICY,
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
    if settings.SECURE_HSTS_SECONDS:
        # By the setting, not by the request's scheme: browsers ignore it over http (RFC 6797, section 8.1).
        named["strict-transport-security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    return named


def _for_pages() -> dict[str, str]:
    return _for_data() | {
        "content-security-policy": PAGE_POLICY,
        "permissions-policy": ", ".join(f"{name}=()" for name in PERMISSIONS),
        "cross-origin-opener-policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
    }


_FOR_PAGES = _encoded(_for_pages())
_FOR_DATA = _encoded(_for_data())


def with_headers(send: Send) -> Send:
    """Wrap the `send` of an ASGI application: it completes the headers of the response."""

    def send_completed(message: Any) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = headers_completed(message.get("headers", ()))
        return send(message)

    return send_completed


def headers_completed(headers: Iterable[Header]) -> list[Header]:
    """Add the missing headers to those of a response. Headers that the view has set stay: it may be stricter."""
    completed = list(headers)
    given = {name.lower(): value for name, value in completed}
    is_page = given.get(b"content-type", b"").startswith(b"text/html")
    completed += [header for header in (_FOR_PAGES if is_page else _FOR_DATA) if header[0] not in given]
    return completed
