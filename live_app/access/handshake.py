"""The websocket handshake: allowed origins, and the identity of the client. Credentials are read from headers only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie
from django.http.request import validate_host

from auth_app.credentials import credentials_of
from auth_app.identify import identify_cached
from auth_app.identity import Identity
from auth_app.tokens.tickets import ticket_redeem
from live_app.delivery.protocol import SUBPROTOCOL, TICKET_PREFIX

ConnectionScope = Mapping[str, Any]


def origin_is_allowed(scope: ConnectionScope) -> bool:
    """True without an Origin header (programs send none), for ALLOWED_ORIGINS, and for this server's own pages."""
    origin = _header(scope, b"origin")
    if origin is None or origin in settings.ALLOWED_ORIGINS:
        return True
    parts = urlsplit(origin)
    host = _header(scope, b"host") or ""
    schemes = ("https",) if settings.TLS else ("http", "https")
    return parts.scheme in schemes and parts.netloc == host and host_is_allowed(scope)


def host_is_allowed(scope: ConnectionScope) -> bool:
    host = urlsplit("//" + (_header(scope, b"host") or "")).hostname or ""
    return validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS)


async def identify_scope(scope: ConnectionScope) -> Identity | None:
    """Identify by bearer token, else ticket, else session cookie. Raises `Unavailable`."""
    authorization = _header(scope, b"authorization")
    ticket = next((name for name in scope["subprotocols"] if name.startswith(TICKET_PREFIX)), None)
    if authorization is None and ticket is not None:
        return await ticket_redeem(ticket.removeprefix(TICKET_PREFIX))
    return await identify_cached(credentials_of(authorization, _cookie(scope, settings.SESSION_COOKIE_NAME)))


def subprotocol_of(scope: ConnectionScope) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None


def address_of(scope: ConnectionScope) -> str:
    """The client's address. Behind a proxy, the server has set it from X-Forwarded-For."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _header(scope: ConnectionScope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def _cookie(scope: ConnectionScope, name: str) -> str | None:
    return parse_cookie(_header(scope, b"cookie") or "").get(name)
