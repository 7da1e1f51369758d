"""Every error that a client can receive.

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
from collections.abc import Mapping
from typing import ClassVar, Self

from django.db import DataError, InterfaceError, OperationalError

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
