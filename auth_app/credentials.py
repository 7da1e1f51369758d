"""What a request shows: the same reading of it for HTTP requests, pages and websocket handshakes."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest

from auth_app.identity import Credentials
from telemetry.bearer import bearer_token

_SESSION_KEY = re.compile(r"[a-z0-9]{8,40}")
NO_TOKEN = ""  # the bearer of a header that carries none: it belongs to nobody


def credentials_of(authorization: str | None, session_key: str | None) -> Credentials:
    """The credentials in an Authorization header's value and a session cookie's, each None where it was not sent.

    A header that is malformed or of another scheme counts as a bad token, not as none: whoever sends one means it,
    and must not be let in as the owner of a session cookie that happens to be there.
    """
    if authorization is not None:
        return Credentials(bearer=bearer_token(authorization) or NO_TOKEN)
    return Credentials(session_key=session_key if is_session_key(session_key) else None)


def is_session_key(text: str | None) -> bool:
    """Whether `text` can be a session's key at all. What cannot is not shown to a database."""
    return text is not None and _SESSION_KEY.fullmatch(text) is not None


def remote_address(request: HttpRequest) -> str:
    """The address the connection came from. Behind a proxy the server sets it from X-Forwarded-For."""
    return str(request.META.get("REMOTE_ADDR") or "")


def credentials_of_request(request: HttpRequest) -> Credentials:
    return credentials_of(request.META.get("HTTP_AUTHORIZATION"), request.COOKIES.get(settings.SESSION_COOKIE_NAME))
