"""The settings of the writer from the environment: typed and limited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from telemetry.env import read_choice, read_database, read_flag, read_int, read_redis, read_secret, read_text
from telemetry.keys import MIN_SECRET_LENGTH
from telemetry.logs import FORMATS, LEVELS

MAX_LIST_READINGS = 10_000
MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Addresses and limits, with the unit in the name. A limit's variable is WRITER_ and its name in capitals."""

    telemetry_admin_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    ingest_secret: str = field(repr=False)
    metrics_token: str = field(repr=False)  # empty: only loopback may read the metrics
    log_format: str
    log_level: str
    rollup: bool  # whether this process rolls up
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


# Name: default and minimum. The longest list must fit into an empty queue, or it could never be accepted.
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


def settings_from(environment: Mapping[str, str]) -> WriterSettings:
    """Read the settings from the environment, e.g. `os.environ`. Raises `VariableError`."""
    return WriterSettings(
        telemetry_admin_url=read_database(environment, "TELEMETRY_ADMIN_URL"),
        redis_url=read_redis(environment, "REDIS_URL"),
        ingest_secret=read_secret(environment, "INGEST_SECRET", MIN_SECRET_LENGTH),
        metrics_token=_metrics_token(environment),
        log_format=read_choice(environment, "LOG_FORMAT", "line", FORMATS),
        log_level=read_choice(environment, "LOG_LEVEL", "INFO", LEVELS),
        rollup=read_flag(environment, "WRITER_ROLLUP", default=True),
        **{name: read_int(environment, f"WRITER_{name.upper()}", *limit) for name, limit in LIMITS.items()},
    )


def _metrics_token(environment: Mapping[str, str]) -> str:
    is_set = read_text(environment, "METRICS_TOKEN", "")
    return read_secret(environment, "METRICS_TOKEN", MIN_TOKEN_LENGTH) if is_set else ""
