"""Settings from the environment: typed, and loud about the variable that is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from telemetry.redis_url import ACCEPTED, redis_address
from telemetry.secret import secret_fault

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_OWN = "set each to random characters of its own"


def env_text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def env_flag(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in _TRUE:
        return True
    if value.strip().lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; accepted are 1 and 0")


def env_int(name: str, default: int, *, minimum: int = 0) -> int:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    if not value.isdecimal() or int(value) < minimum:
        raise ImproperlyConfigured(f"{name} is {value!r}; accepted is a whole number, at least {minimum}")
    return int(value)


def env_choice(name: str, default: str, accepted: Sequence[str]) -> str:
    value = env_text(name) or default
    if value not in accepted:
        raise ImproperlyConfigured(f"{name} is {value!r}; accepted are {', '.join(accepted)}")
    return value


def env_list(name: str, default: str = "") -> list[str]:
    """A comma-separated list; blanks around the commas do not count."""
    return [item.strip() for item in env_text(name, default).split(",") if item.strip()]


def env_origins(name: str, default: str = "") -> list[str]:
    """A list of origins as browsers send them (RFC 6454, section 6.2): scheme, host, and the port if not the usual."""
    origins = env_list(name, default)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ImproperlyConfigured(
                f"{name} has {origin!r}; accepted are origins such as https://energy.example.com"
            )
    return origins


def env_secret(name: str, *, minimum_length: int, required: bool, weak_is_accepted: bool) -> str:
    """A secret. Refuses to start with one that is missing or easily guessed; never shows its value."""
    value = env_text(name)
    if weak_is_accepted or (not required and not value):
        return value
    if fault := secret_fault(value, minimum_length=minimum_length):
        raise ImproperlyConfigured(
            f"{name} {fault}; set it to at least {minimum_length} random characters,"
            " e.g. from: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return value


def env_redis(name: str, default: str) -> str:
    """Where Redis is. Never shows the value: it may hold a password."""
    value = env_text(name, default)
    try:
        redis_address(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not the URL of a Redis; accepted is {ACCEPTED}") from None
    return value


def secrets_require_own(secrets: Mapping[str, str], passwords: Mapping[str, str]) -> None:
    """Raises `ImproperlyConfigured` for a secret that stands for two things: who learns one would have the other.

    Both by name, empty where not set. Passwords may be alike among themselves: databases can share a server.
    """
    named: dict[str, str] = {}
    for name, value in secrets.items():
        if value and named.setdefault(value, name) != name:
            raise ImproperlyConfigured(f"{name} has the value of {named[value]}; {_OWN}")
    for name, value in passwords.items():
        if value in named:
            raise ImproperlyConfigured(f"{named[value]} is the password in {name} too; {_OWN}")


def url_password(url: str) -> str:
    """The password in a database's or Redis's URL, empty where there is none."""
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
