"""How REST framework speaks our credentials and our errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request
from rest_framework.settings import api_settings

from auth_app.credentials import credentials_of_request
from auth_app.identity import Identity, identify
from auth_app.models import User
from core.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooManyAttempts,
    Unauthorized,
    database_problem,
    problem_response,
)


class IdentityAuthentication(BaseAuthentication):
    """`request.user` is the User, `request.auth` the Identity.

    A bearer token that is not good is a 401, also beside a good session cookie. A session cookie needs a CSRF token
    for whatever changes something; one whose session has ended is as good as none.
    """

    def authenticate(self, request: Request) -> tuple[User, Identity] | None:
        credentials = credentials_of_request(request._request)
        identity = identify(credentials)
        user = None if identity is None else User.objects.filter(pk=identity.user_id).first()
        if identity is None or user is None:
            if credentials.bearer is not None:
                raise exceptions.AuthenticationFailed
            return None
        if credentials.bearer is None:
            csrf_require(request._request)
        return user, identity

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def csrf_require(request: HttpRequest) -> None:
    """Raises `Forbidden` (code `csrf`) for an unsafe method without a good CSRF token."""
    check = CSRFCheck(lambda _: HttpResponse())
    check.process_request(request)
    if check.process_view(request, lambda _: HttpResponse(), (), {}):
        raise Forbidden("The CSRF token is missing or wrong; send it as X-CSRFToken.", code="csrf")


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's EXCEPTION_HANDLER. None (Django's 500) for what is not foreseen."""
    problem = _problem(error, context)
    return None if problem is None else problem_response(problem)


def _problem(error: Exception, context: Mapping[str, Any]) -> Problem | None:
    match error:
        case Problem():
            return error
        case exceptions.ValidationError():
            return BadRequest(validation_words(error.detail))
        case exceptions.NotAuthenticated():
            return Unauthorized()
        case exceptions.AuthenticationFailed():
            return Unauthorized("Authorization: the token is not known, has expired or was revoked.")
        case exceptions.PermissionDenied() | DjangoPermissionDenied():
            return Forbidden("Not allowed.")
        case exceptions.NotFound() | Http404():
            return NotFound("There is nothing here.")
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed(tuple(context["view"].allowed_methods))
        case exceptions.Throttled():
            return TooManyAttempts(1)
        case exceptions.APIException() if error.status_code < 500:
            return BadRequest(str(error.detail))
    return database_problem(error)


def validation_words(detail: object, field: str = "body") -> str:
    """A serializer's errors as one line, each naming its field."""
    if isinstance(detail, Mapping):
        inner = (
            (field if name == api_settings.NON_FIELD_ERRORS_KEY or isinstance(name, int) else name, words)
            for name, words in detail.items()
        )
        return " ".join(validation_words(words, name) for name, words in inner)
    if isinstance(detail, list):
        return " ".join(validation_words(words, field) for words in detail)
    return f"{field}: {detail}"
