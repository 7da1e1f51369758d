"""Settings of the server from the environment: as telemetry/env.py reads them, with Django's error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from telemetry.env import (
    VariableError,
    read_choice,
    read_flag,
    read_int,
    read_list,
    read_redis,
    read_secret,
    read_text,
)

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_OWN = "set each to random characters of its own"


@contextmanager
def _configured() -> Iterator[None]:
    try:
        yield
    except VariableError as error:
        raise ImproperlyConfigured(str(error)) from None


def env_text(name: str, default: str = "") -> str:
    return read_text(os.environ, name, default)


def env_flag(name: str, *, default: bool = False) -> bool:
    with _configured():
        return read_flag(os.environ, name, default=default)


def env_int(name: str, default: int, *, minimum: int = 0) -> int:
    with _configured():
        return read_int(os.environ, name, default, minimum)


def env_choice(name: str, default: str, accepted: Sequence[str]) -> str:
    with _configured():
        return read_choice(os.environ, name, default, accepted)


def env_list(name: str, default: str = "") -> list[str]:
    """A comma-separated list; blanks around the commas are ignored."""
    return read_list(os.environ, name, default)


def env_origins(name: str, default: str = "") -> list[str]:
    """Origins as browsers send them (RFC 6454, section 6.2): scheme, host, and the port unless it is the default."""
    origins = env_list(name, default)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ImproperlyConfigured(
                f"{name} has {origin!r}; accepted are origins such as https://energy.example.com"
            )
    return origins


def env_secret(name: str, *, minimum_length: int, required: bool, weak_is_accepted: bool) -> str:
    """A secret. Raises `ImproperlyConfigured`, which never shows the value, if it is missing or easily guessed."""
    value = env_text(name)
    if weak_is_accepted or (not required and not value):
        return value
    with _configured():
        return read_secret(os.environ, name, minimum_length)


def env_redis(name: str, default: str) -> str:
    """The URL of Redis. Raises `ImproperlyConfigured`, which never shows the value: it may hold a password."""
    with _configured():
        return read_redis(os.environ, name, default)


def secrets_require_own(secrets: Mapping[str, str], passwords: Mapping[str, str]) -> None:
    """Raises `ImproperlyConfigured` if two settings have the same secret: a leak of one would be a leak of both.

    Both mappings are by name; unset ones are empty. Passwords may equal each other: databases can share a server.
    """
    named: dict[str, str] = {}
    for name, value in secrets.items():
        if value and named.setdefault(value, name) != name:
            raise ImproperlyConfigured(f"{name} has the value of {named[value]}; {_OWN}")
    for name, value in passwords.items():
        if value in named:
            raise ImproperlyConfigured(f"{named[value]} is the password in {name} too; {_OWN}")


def url_password(url: str) -> str:
    """The password in the URL of a database or of Redis; empty if it has none."""
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
