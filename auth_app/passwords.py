"""Password hashing, limited in parallel: each hash needs 100 MB and a whole core."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.db import connection

from auth_app.models import User
from core.errors import BadRequest, Unavailable

WAIT_S = 5.0
_NOBODY = "!"  # an unusable hash: Django spends as long on it as on a real one
_hashers = threading.BoundedSemaphore(settings.PASSWORD_HASHERS_AT_ONCE)


@contextmanager
def hasher_slot() -> Iterator[None]:
    """Hold one of PASSWORD_HASHERS_AT_ONCE slots. Raises `Unavailable` if none is free within WAIT_S.

    Do not call it in a transaction: SQLite's other writers would wait. It returns the database connection to the pool
    while it waits and hashes.
    """
    connection.close()
    if not _hashers.acquire(timeout=WAIT_S):
        raise Unavailable("Too many users are signing in at this moment.", retry_after_s=5)
    try:
        yield
    finally:
        _hashers.release()


def password_matches(user: User | None, password: str) -> bool:
    """Whether `password` is that of the active `user`. Equally slow for None. Call it in a `hasher_slot`."""
    is_right = check_password(password, user.password if user else _NOBODY)
    return is_right and user is not None and user.is_active


def password_hash(password: str) -> str:
    with hasher_slot():
        return make_password(password)


def password_require_good(password: str, *, user: User, field: str) -> None:
    """Raises `BadRequest` (code `weak_password`) naming `field`, with the messages of the password validators."""
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise BadRequest(f"{field}: {' '.join(error.messages)}", code="weak_password") from error
