"""Errors as responses: RFC 9457 problem documents, and Django's error handlers."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse

from core.errors import BadRequest, Forbidden, NotFound, Problem, database_problem
from telemetry.problems import CONTENT_TYPE, problem_body


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
