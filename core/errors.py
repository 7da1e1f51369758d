"""Every error that a client can receive, as RFC 9457 problem documents.

Problem
├── BadRequest        400
├── Unauthorized      401
├── Forbidden         403
│   ├── DeviceForbidden
│   └── ScopeMissing
├── NotFound          404
├── MethodNotAllowed  405
├── TooLarge          413
├── TooManyAttempts   429
└── Unavailable       503
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import ClassVar, Self

from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from telemetry.problems import CONTENT_TYPE, problem_body

DATABASE_AWAY = (OperationalError, InterfaceError)
logger = logging.getLogger(__name__)


class Problem(Exception):
    """An error response. `code` is stable; `detail` names the parameter and the accepted values.

    `devices`: the requested device ids that it is about, for the audit log; never part of the response.
    """

    status: ClassVar[int] = 500
    code: str = "internal"
    devices: tuple[str, ...] = ()

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.retry_after_s = retry_after_s

    def about(self, *device_ids: str) -> Self:
        self.devices = device_ids
        return self

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


class BadRequest(Problem):
    status = 400
    code = "bad_request"


class Unauthorized(Problem):
    status = 401
    code = "unauthorized"

    def __init__(self, detail: str = "Sign in, or send Authorization: Bearer <token>.") -> None:
        super().__init__(detail)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    status = 403
    code = "forbidden"


class DeviceForbidden(Forbidden):
    """The same text for a device of another user and for one that does not exist."""

    def __init__(self) -> None:
        super().__init__("There is no such device among yours.")


class ScopeMissing(Forbidden):
    """The API key does not have the scope that the request needs (RFC 6750, section 3.1)."""

    code = "insufficient_scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This API key lacks the scope {scope}.")
        self._scope = scope

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{self._scope}"'}


class NotFound(Problem):
    status = 404
    code = "not_found"


class MethodNotAllowed(Problem):
    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"Accepted here: {', '.join(allowed)}.")
        self.allowed = allowed

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class TooLarge(Problem):
    status = 413
    code = "too_large"


class TooManyAttempts(Problem):
    status = 429
    code = "too_many_attempts"

    def __init__(self, retry_after_s: int, detail: str = "Too many attempts.") -> None:
        super().__init__(f"{detail} Try again in {retry_after_s} s.", retry_after_s=retry_after_s)


class Unavailable(Problem):
    status = 503
    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


def database_away(error: BaseException) -> Unavailable:
    """The problem for an accounts database that is locked or does not respond."""
    logger.error("accounts database: %s", error or "no response in time")
    return Unavailable("The accounts database does not answer.")


def database_problem(error: BaseException | None) -> Problem | None:
    """The problem behind an error of the accounts database; None if the error is a bug of the server.

    A value that the database cannot store (PostgreSQL accepts no NUL in text) is an error of the client.
    """
    if isinstance(error, DATABASE_AWAY):
        return database_away(error)
    return BadRequest("A value in the request cannot be stored.") if isinstance(error, DataError) else None


def problem_response(problem: Problem) -> HttpResponse:
    return HttpResponse(
        problem_body(problem.status, problem.detail, problem.code),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers={**problem.headers, "Cache-Control": "no-store"},
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 404 handler."""
    return problem_response(NotFound("There is no such route."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400 handler (a host that is not allowed, a body that is too large)."""
    return problem_response(BadRequest("The request cannot be read."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 403 handler."""
    return problem_response(Forbidden("Not allowed."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500 handler. The log has the traceback; on every route an unavailable database is a 503."""
    error = sys.exc_info()[1]
    problem = error if isinstance(error, Problem) else database_problem(error)
    return problem_response(problem or Problem("Something went wrong here; it has been logged."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return problem_response(Forbidden("The CSRF token is missing or wrong; send it as X-CSRFToken.", code="csrf"))
