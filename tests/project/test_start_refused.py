"""Outside DEBUG no process starts with a missing, weak or reused secret. One sentence names it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from core.env import url_password
from telemetry.secret import secret_fault
from testing.process import ROOT, free_port
from testing.stack import Stack

GOOD = secrets.token_urlsafe(48)
WEAK = {
    "hunter2": "is too short",
    "ab" * 40: "has too few different characters",
    "django-insecure-" + GOOD: "is the placeholder of an example",
    "changeme-" + GOOD: "is the placeholder of an example",
}


def start(module: str, stack: Stack, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a process that must exit by itself."""
    return subprocess.run(
        [sys.executable, "-m", module, "--port", str(free_port())],
        cwd=ROOT, env={**os.environ, **stack.env, "DEBUG": "0", **changed},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], sentence: str, value: str) -> None:
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert sentence in done.stderr
    assert not value or value not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("SECRET_KEY", value) for value in WEAK), ("INGEST_SECRET", "ab" * 40), ("METRICS_TOKEN", "hunter2")],
    ids=lambda value: value if value.isupper() else WEAK[value],
)
def test_the_server_refuses_a_weak_secret(stack: Stack, name: str, value: str) -> None:
    refused(
        start("asgi_project.server.serve", stack, **{name: value}), f"serve: {name} {WEAK[value]}; set it to", value
    )


def test_the_server_requires_a_secret_key(stack: Stack) -> None:
    refused(start("asgi_project.server.serve", stack, SECRET_KEY=""), "serve: SECRET_KEY is not set; set it to", "")


@pytest.mark.parametrize("value", ["", "hunter2", "ab" * 40])
def test_the_writer_refuses_a_weak_secret(stack: Stack, value: str) -> None:
    fault = WEAK.get(value, "is not set")
    refused(start("writer", stack, INGEST_SECRET=value), f"INGEST_SECRET {fault}; set it to", value)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"SECRET_KEY": GOOD, "INGEST_SECRET": GOOD}, "INGEST_SECRET has the value of SECRET_KEY"),
        ({"SECRET_KEY": GOOD, "METRICS_TOKEN": GOOD}, "METRICS_TOKEN has the value of SECRET_KEY"),
        (
            {"SECRET_KEY": GOOD, "REDIS_URL": f"redis://:{GOOD}@127.0.0.1:6379/0"},
            "SECRET_KEY is the password in REDIS_URL too",
        ),
    ],
)
def test_secrets_must_differ(stack: Stack, changed: dict[str, str], sentence: str) -> None:
    refused(start("asgi_project.server.serve", stack, **changed), f"serve: {sentence}; set each to", GOOD)


def test_databases_may_share_a_password() -> None:
    from core.env import secrets_require_own

    secrets_require_own({"SECRET_KEY": GOOD}, {"TELEMETRY_URL": "same", "DATABASE_URL": "same", "REDIS_URL": ""})


def test_a_good_secret_has_no_fault() -> None:
    assert secret_fault(GOOD, minimum_length=32) is None


def test_the_password_of_a_url_is_decoded() -> None:
    assert url_password("postgresql://reader:a%2Fb@127.0.0.1/db") == "a/b"
    assert url_password("redis://127.0.0.1:6379/0") == url_password("postgresql://[oops") == ""


def test_debug_allows_weak_secrets(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env={**os.environ, **stack.env, "DEBUG": "1", "SECRET_KEY": "dev", "INGEST_SECRET": "dev"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
