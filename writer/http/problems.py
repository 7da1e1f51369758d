"""Error responses as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from telemetry.problems import CONTENT_TYPE, problem_body

RETRY_AFTER_S = 1
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    503: "unavailable",
}


class ProblemError(Exception):
    """Ends a request with an error. `detail` names the value and what is accepted; `extra` are further members."""

    def __init__(self, status: int, detail: str, *, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra or {}

    def response(self) -> Response:
        """`status`, `title`, `detail` and a stable `code`."""
        body = problem_body(self.status, self.detail, CODES.get(self.status, "internal"), self.extra)
        return Response(body, self.status, self._headers(), CONTENT_TYPE)

    def _headers(self) -> dict[str, str]:
        if self.status == 401:
            return {"WWW-Authenticate": "Bearer"}
        return {"Retry-After": str(RETRY_AFTER_S)} if self.status == 503 else {}


async def problem_response(_request: Request, error: Exception) -> Response:
    """FastAPI's handler for `ProblemError`."""
    assert isinstance(error, ProblemError)
    return error.response()


async def http_error_response(_request: Request, error: Exception) -> Response:
    """FastAPI's handler for its own errors: no such route, no such method."""
    assert isinstance(error, HTTPException)
    response = ProblemError(error.status_code, str(error.detail)).response()
    response.headers.update(error.headers or {})
    return response
