"""How hot views are written: an async function that is handed the identity, and raises problems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from auth_app.audit.denials import problem_denied
from auth_app.credentials import credentials_of_request, remote_address
from auth_app.identity import Identity, identify_cached
from auth_app.scopes import Scope
from core.errors import MethodNotAllowed, Problem, Unauthorized, problem_response

P = ParamSpec("P")
# Django's stubs know only synchronous views, hence Any.
HotView = Callable[..., Any]
_MARK = "wattstream_hot"


def hot_view(
    *methods: str,
    scope: Scope = Scope.READ,
) -> Callable[[Callable[Concatenate[HttpRequest, Identity, P], Awaitable[HttpResponseBase]]], HotView]:
    """Make an async view hot: served without middleware, only to an authenticated user, problems turned into answers.

    Hot views change nothing, so a session cookie needs no CSRF token here. `scope`: what an API key needs.
    """
    accepted = ("GET", "HEAD") if methods == ("GET",) else methods

    def decorate(view: Callable[Concatenate[HttpRequest, Identity, P], Awaitable[HttpResponseBase]]) -> HotView:
        @wraps(view)
        async def hot(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            identity = None
            try:
                if request.method not in accepted:
                    raise MethodNotAllowed(accepted)
                identity = await identify_request(request)
                identity.require(scope)
                return await view(request, identity, *args, **kwargs)
            except Problem as problem:
                problem_denied(problem, identity=identity, what=view.__name__, address=remote_address(request))
                return problem_response(problem)

        setattr(hot, _MARK, True)
        hot.methods, hot.scope = accepted, scope  # type: ignore[attr-defined]
        return csrf_exempt(hot)

    return decorate


def is_hot(view: object) -> bool:
    return getattr(view, _MARK, False)


async def identify_request(request: HttpRequest) -> Identity:
    """Who sent this request. Raises `Unauthorized`."""
    identity = await identify_cached(credentials_of_request(request))
    if identity is None:
        raise Unauthorized
    return identity
