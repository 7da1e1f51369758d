"""How to write a hot view: an async function `(request, identity, **path parameters)` that raises problems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from auth_app.credentials import credentials_of_request
from auth_app.identify import identify_cached
from auth_app.identity import Identity
from auth_app.scopes import TokenScope
from core.errors import Unauthorized
from core.hot import READ_METHODS, Hot, hot_mark

P = ParamSpec("P")


def hot_view(
    *methods: str, scope: TokenScope = TokenScope.READ
) -> Callable[[Callable[Concatenate[HttpRequest, Identity, P], Awaitable[HttpResponseBase]]], Callable[..., Any]]:
    """Make an async view hot: only for authenticated users, without middleware. GET accepts HEAD too.

    A hot view changes nothing, so a session cookie needs no CSRF token. `scope`: the scope that an API key needs.
    """
    hot = Hot(READ_METHODS if methods == ("GET",) else methods, scope)

    def decorate(
        view: Callable[Concatenate[HttpRequest, Identity, P], Awaitable[HttpResponseBase]],
    ) -> Callable[..., Any]:
        hot_mark(view, hot)
        return view

    return decorate


async def identify_request(request: HttpRequest) -> Identity:
    """The user who sent this request. Raises `Unauthorized`, `Unavailable`."""
    identity = await identify_cached(credentials_of_request(request))
    if identity is None:
        raise Unauthorized
    return identity
