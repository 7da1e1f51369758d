"""Reads credentials from HTTP requests and websocket handshakes."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest

from auth_app.identity import Credentials
from telemetry.bearer import bearer_token

_SESSION_KEY = re.compile(r"[a-z0-9]{8,40}")
NO_TOKEN = ""  # stands for a header without a valid token; no user has it


def credentials_of(authorization: str | None, session_key: str | None) -> Credentials:
    """The credentials in the values of an Authorization header and a session cookie; None for one that was not sent.

    A malformed header, or one of another scheme, counts as an invalid token and not as a missing one: a client that
    sends it must not be authenticated by a session cookie that happens to be there.
    """
    if authorization is not None:
        return Credentials(bearer=bearer_token(authorization) or NO_TOKEN)
    return Credentials(session_key=session_key if is_session_key(session_key) else None)


def is_session_key(text: str | None) -> bool:
    """Whether `text` has the form of a session key. Other text never reaches the database."""
    return text is not None and _SESSION_KEY.fullmatch(text) is not None


def remote_address(request: HttpRequest) -> str:
    """The address of the client. Behind a trusted proxy the server takes it from X-Forwarded-For."""
    return str(request.META.get("REMOTE_ADDR") or "")


def credentials_of_request(request: HttpRequest) -> Credentials:
    return credentials_of(request.META.get("HTTP_AUTHORIZATION"), request.COOKIES.get(settings.SESSION_COOKIE_NAME))
