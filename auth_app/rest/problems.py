"""How REST framework's errors become problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.settings import api_settings

from core.errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooManyAttempts,
    Unauthorized,
    database_problem,
)
from core.problems import problem_response


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's EXCEPTION_HANDLER. Returns None (Django's 500) for an unexpected error."""
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
            return Unauthorized("Authorization: the token is unknown, expired or revoked.")
        case exceptions.PermissionDenied() | DjangoPermissionDenied():
            return Forbidden("Not allowed.")
        case exceptions.NotFound() | Http404():
            return NotFound("There is no such resource.")
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed(tuple(context["view"].allowed_methods))
        case exceptions.Throttled():
            return TooManyAttempts(1)
        case exceptions.APIException() if error.status_code < 500:
            return BadRequest(str(error.detail))
    return database_problem(error)


def validation_words(detail: object, field: str = "body") -> str:
    """The errors of a serializer in one line. Each names its field."""
    if isinstance(detail, Mapping):
        inner = (
            (field if name == api_settings.NON_FIELD_ERRORS_KEY or isinstance(name, int) else name, words)
            for name, words in detail.items()
        )
        return " ".join(validation_words(words, name) for name, words in inner)
    if isinstance(detail, list):
        return " ".join(validation_words(words, field) for words in detail)
    return f"{field}: {detail}"
