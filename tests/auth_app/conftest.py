"""Further servers for account tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack


@pytest.fixture(scope="session")
def closed_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server on the same accounts with closed registration."""
    with server_process({**stack.env, "ALLOW_REGISTRATION": "0"}, logs / "closed.log") as process:
        yield process


STRICT = {
    **{f"{name}_PER_ACCOUNT": "2" for name in ("LOGIN_FAILURES", "REGISTRATIONS", "API_KEYS_MADE", "TICKETS")},
    **{f"{name}_PER_ADDRESS": "3" for name in ("LOGIN_FAILURES", "REGISTRATIONS", "API_KEYS_MADE", "TICKETS")},
    "CLAIM_FAILURES_PER_USER": "2",
    "CLAIM_FAILURES_PER_ADDRESS": "3",
    "HANDSHAKE_FAILURES_PER_ACCOUNT": "2",
    "HANDSHAKE_FAILURES_PER_ADDRESS": "3",
    "FORWARDED_ALLOW_IPS": "127.0.0.1",  # lets each test use its own client address
}


@pytest.fixture(scope="session")
def strict_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server on the same accounts that allows two attempts per account and three per address."""
    with server_process({**stack.env, **STRICT}, logs / "strict.log") as process:
        yield process


@pytest.fixture(scope="session")
def strict_lonely_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """`strict_server` without Redis."""
    proxy, url = stack.redis_proxy()
    proxy.cut()
    with server_process({**stack.env, **STRICT, "REDIS_URL": url}, logs / "strict_lonely.log") as process:
        yield process


@pytest.fixture(scope="session")
def lonely_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server on the same accounts that cannot reach Redis."""
    proxy, url = stack.redis_proxy()
    proxy.cut()
    with server_process({**stack.env, "REDIS_URL": url}, logs / "lonely.log") as process:
        yield process
