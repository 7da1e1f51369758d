"""Limits of request bodies, for every route and server: the limit depends on the credentials.

Credentials are checked before a body is read. Without valid credentials, only public routes and pages read one, of at
most HTTP_ANONYMOUS_BODY_MAX_BYTES; all others accept HTTP_BODY_MAX_BYTES. Nothing is written to disk: both limits are
below Django's FILE_UPLOAD_MAX_MEMORY_SIZE.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, cast

from asgiref.typing import ASGIReceiveCallable, ASGIReceiveEvent, HTTPScope
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.urls import ResolverMatch

from auth_app.credentials import credentials_of_request
from auth_app.identify import identify_cached
from core.errors import BadRequest, TooLarge, Unauthorized


class BoundedBody:
    """`receive` of an ASGI application, for a body of at most `limit` bytes."""

    def __init__(self, receive: ASGIReceiveCallable, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._length = 0

    async def __call__(self) -> ASGIReceiveEvent:
        """Raises `TooLarge`."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._length += len(message.get("body", b""))
            length_require(self._length, self._limit)
        return message


def length_require(length: int, limit: int) -> None:
    """Raises `TooLarge`."""
    if length > limit:
        raise TooLarge(f"body: at most {limit} bytes are accepted.")


def length_announced(scope: HTTPScope) -> int | None:
    """Content-Length; 0 without a body, None where only its end tells its length. Raises `BadRequest`."""
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            if not value.isdigit() or len(value) > 18:
                raise BadRequest("Content-Length: expected a whole number.")
            length = int(value)
    return length


async def cold_body(scope: HTTPScope, receive: ASGIReceiveCallable, match: ResolverMatch | None) -> ASGIReceiveCallable:
    """`receive` for Django's own handler. Raises `BadRequest`, `TooLarge`, `Unauthorized`, `Unavailable`."""
    length = length_announced(scope)
    if length == 0:
        return receive
    limit = settings.HTTP_ANONYMOUS_BODY_MAX_BYTES
    view = getattr(match.func, "cls", None) if match is not None else None  # REST framework's
    if match is not None and not getattr(view, "is_public", False):
        request = ASGIRequest(cast(dict[str, Any], scope), BytesIO())
        if await identify_cached(credentials_of_request(request)) is not None:
            limit = settings.HTTP_BODY_MAX_BYTES
        elif view is not None:
            raise Unauthorized
    length_require(length or 0, limit)
    return BoundedBody(receive, limit)
