"""Reads settings from environment variables: typed, with units in the names, and one sentence for a wrong value.

Every function takes the environment (`os.environ`, or any mapping in a test) and the name of a variable, ignores blanks
around the value, and raises `VariableError`, which names the variable and what is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict

from telemetry.redis_url import ACCEPTED, redis_address
from telemetry.secret import secret_fault

Environment = Mapping[str, str]

_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("", "0", "false", "no", "off"))
_GENERATOR = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


class VariableError(ValueError):
    """A variable has an invalid value. The message is one sentence; it never shows a secret or an address."""


def read_text(environment: Environment, name: str, default: str = "") -> str:
    """The value as it is. A variable that is set but empty is empty, not the default."""
    return environment.get(name, default).strip()


def read_flag(environment: Environment, name: str, *, default: bool = False) -> bool:
    """True for 1, true, yes or on; False for 0, false, no, off or an empty value."""
    value = environment.get(name)
    if value is None:
        return default
    if value.strip().lower() in _TRUE:
        return True
    if value.strip().lower() in _FALSE:
        return False
    raise VariableError(f"{name} is {value!r}; accepted are 1 and 0")


def read_int(environment: Environment, name: str, default: int, minimum: int = 0) -> int:
    """A whole number of at least `minimum`; the default if the value is empty."""
    value = read_text(environment, name)
    if not value:
        return default
    if not value.isascii() or not value.isdecimal() or int(value) < minimum:
        raise VariableError(f"{name} is {value!r}; accepted is a whole number, at least {minimum}")
    return int(value)


def read_choice(environment: Environment, name: str, default: str, accepted: Sequence[str]) -> str:
    """One of `accepted`; the default if the value is empty."""
    value = read_text(environment, name) or default
    if value not in accepted:
        raise VariableError(f"{name} is {value!r}; accepted are {', '.join(accepted)}")
    return value


def read_list(environment: Environment, name: str, default: str = "") -> list[str]:
    """A comma-separated list without empty items."""
    return [item.strip() for item in read_text(environment, name, default).split(",") if item.strip()]


def read_secret(environment: Environment, name: str, minimum_length: int) -> str:
    """A secret that is long enough and not easily guessed."""
    value = read_text(environment, name)
    if fault := secret_fault(value, minimum_length=minimum_length):
        raise VariableError(
            f"{name} {fault}; set it to at least {minimum_length} random characters, e.g. from: {_GENERATOR}"
        )
    return value


def read_redis(environment: Environment, name: str, default: str = "") -> str:
    """The URL of a Redis, of a master behind Sentinel, or of a Redis Cluster."""
    value = _required(name, read_text(environment, name, default))
    try:
        redis_address(value)
    except ValueError:
        raise VariableError(f"{name} is not a Redis URL; accepted is {ACCEPTED}") from None
    return value


def read_database(environment: Environment, name: str) -> str:
    """The URL of a PostgreSQL database."""
    value = _required(name, read_text(environment, name))
    try:
        conninfo_to_dict(value)
    except psycopg.ProgrammingError:
        raise VariableError(f"{name} is not a PostgreSQL URL; accepted is postgresql://…") from None
    return value


def _required(name: str, value: str) -> str:
    if not value:
        raise VariableError(f"{name} is not set; ./scripts/services env prints the one of this checkout")
    return value
