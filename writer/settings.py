"""What the environment tells the writer: typed, with limits, and loud about the variable that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict

from telemetry.keys import MIN_SECRET_LENGTH
from telemetry.logs import FORMATS, LEVELS
from telemetry.redis_url import ACCEPTED, redis_address
from telemetry.secret import secret_fault

MAX_LIST_READINGS = 10_000


class SettingsError(ValueError):
    """The environment cannot be used; the message is one sentence that names the variable and what is accepted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses and limits, with the unit in the name. A limit's variable is WRITER_ and its name in capitals."""

    telemetry_admin_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    ingest_secret: str = field(repr=False)
    log_format: str
    log_level: str
    max_future_s: int
    max_past_s: int
    max_body_bytes: int
    body_timeout_s: int
    queue_max_readings: int
    batch_readings: int
    flush_ms: int
    store_timeout_ms: int
    publish_max_readings: int
    send_timeout_ms: int
    grace_s: int


# Name: default and the least that makes sense. A list of the longest length must fit into an empty queue, or it could
# never be taken.
LIMITS = {
    "max_future_s": (300, 0),
    "max_past_s": (400 * 86_400, 0),
    "max_body_bytes": (8 * 1024 * 1024, 1024),
    "body_timeout_s": (30, 1),
    "queue_max_readings": (200_000, MAX_LIST_READINGS),
    "batch_readings": (5_000, 1),
    "flush_ms": (200, 0),
    "store_timeout_ms": (10_000, 100),
    "publish_max_readings": (50_000, MAX_LIST_READINGS),
    "send_timeout_ms": (5_000, 1),
    "grace_s": (10, 0),
}


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Read the settings, given `os.environ`. Raises `SettingsError`."""
    return Settings(
        telemetry_admin_url=database_url(environment),
        redis_url=redis_url(environment),
        ingest_secret=secret(environment, "INGEST_SECRET"),
        log_format=_choice("LOG_FORMAT", environment.get("LOG_FORMAT") or "line", FORMATS),
        log_level=_choice("LOG_LEVEL", environment.get("LOG_LEVEL") or "INFO", LEVELS),
        **{name: _whole_number(environment, f"WRITER_{name.upper()}", *limit) for name, limit in LIMITS.items()},
    )


def database_url(environment: Mapping[str, str]) -> str:
    """TELEMETRY_ADMIN_URL. Raises `SettingsError`, which never shows the value: it holds a password."""
    value = _address(environment, "TELEMETRY_ADMIN_URL")
    try:
        conninfo_to_dict(value)
    except psycopg.ProgrammingError:
        raise SettingsError("TELEMETRY_ADMIN_URL is not a PostgreSQL URL; accepted is postgresql://…") from None
    return value


def redis_url(environment: Mapping[str, str]) -> str:
    """REDIS_URL. Raises `SettingsError`, which never shows the value: it holds a password."""
    value = _address(environment, "REDIS_URL")
    try:
        redis_address(value)
    except ValueError:
        raise SettingsError(f"REDIS_URL is not a Redis URL; accepted is {ACCEPTED}") from None
    return value


def secret(environment: Mapping[str, str], name: str) -> str:
    """A secret that is not easily guessed. Raises `SettingsError`, which never shows the value."""
    value = environment.get(name, "").strip()
    if fault := secret_fault(value, minimum_length=MIN_SECRET_LENGTH):
        raise SettingsError(f"{name} {fault}; set it to at least {MIN_SECRET_LENGTH} random characters")
    return value


def _address(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set; ./scripts/services env prints the one of this checkout")
    return value


def _choice(variable: str, value: str, accepted: Sequence[str]) -> str:
    if value not in accepted:
        raise SettingsError(f"{variable} is {value!r}; accepted are {', '.join(accepted)}")
    return value


def _whole_number(environment: Mapping[str, str], variable: str, default: int, minimum: int) -> int:
    value = environment.get(variable, "").strip()
    if not value:
        return default
    if not value.isascii() or not value.isdecimal() or int(value) < minimum:
        raise SettingsError(f"{variable} is {value!r}; accepted is a whole number, at least {minimum}")
    return int(value)
