"""Settings: the environment is validated before the start, and secrets are never shown."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from telemetry.env import VariableError
from testing.process import ROOT
from testing.stack import Stack
from writer.settings import settings_from

ENVIRONMENT = {
    "TELEMETRY_ADMIN_URL": "postgresql://owner:hunter2@127.0.0.1/db",
    "REDIS_URL": "redis://:hunter2@127.0.0.1:6379/0",
    "INGEST_SECRET": "0123456789abcdef0123456789abcdef",
}


def complaint(**changed: str) -> str:
    with pytest.raises(VariableError) as error:
        settings_from({**ENVIRONMENT, **changed})
    return str(error.value)


def test_limits_have_defaults() -> None:
    settings = settings_from(ENVIRONMENT)
    assert (settings.queue_max_readings, settings.batch_readings, settings.flush_ms) == (200_000, 5_000, 200)


def test_a_limit_is_read_from_its_variable() -> None:
    assert settings_from({**ENVIRONMENT, "WRITER_FLUSH_MS": "50"}).flush_ms == 50


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "9999"])
def test_an_invalid_limit_is_named_with_the_accepted_values(value: str) -> None:
    assert complaint(WRITER_QUEUE_MAX_READINGS=value) == (
        f"WRITER_QUEUE_MAX_READINGS is {value!r}; accepted is a whole number, at least 10000"
    )


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_missing_variables_are_named(name: str) -> None:
    assert complaint(**{name: " "}).startswith(f"{name} is not set")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEMETRY_ADMIN_URL", "postgresql//owner:hunter2@127.0.0.1"),
        ("REDIS_URL", "http://:hunter2@127.0.0.1"),
        ("INGEST_SECRET", "hunter2"),
    ],
)
def test_an_invalid_address_or_secret_is_named_but_not_shown(name: str, value: str) -> None:
    told = complaint(**{name: value})
    assert told.startswith(name)
    assert "hunter2" not in told


def test_settings_do_not_show_secrets() -> None:
    assert "hunter2" not in repr(settings_from(ENVIRONMENT))
    assert ENVIRONMENT["INGEST_SECRET"] not in repr(settings_from(ENVIRONMENT))


def test_the_writer_refuses_to_start_with_one_sentence(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "writer", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **stack.env, "INGEST_SECRET": "short"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("INGEST_SECRET is too short; set it to at least 32 random characters")
    assert done.stderr.count("\n") == 1
