"""Settings from the environment: typed, and loud about the variable that is wrong."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from telemetry.redis_url import ACCEPTED, redis_address

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


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


def env_list(name: str, default: str = "") -> list[str]:
    """A comma-separated list; blanks around the commas do not count."""
    return [item.strip() for item in env_text(name, default).split(",") if item.strip()]


def env_secret(name: str, *, minimum_length: int, required: bool) -> str:
    """A secret. Refuses to start with one that is missing or easily guessed; never shows its value."""
    value = env_text(name)
    if not required and not value:
        return ""
    if len(value) < minimum_length or len(set(value)) < 8:
        what = "is not set" if not value else "is too weak"
        raise ImproperlyConfigured(
            f"{name} {what}; set it to at least {minimum_length} random characters,"
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
