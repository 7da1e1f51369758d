"""Servers that some account tests need beside the ordinary one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Process
from tests.support.servers import server_process
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def closed_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server on the same accounts where registration is closed."""
    with server_process({**stack.env, "ALLOW_REGISTRATION": "0"}, logs / "closed.log") as process:
        yield process


@pytest.fixture(scope="session")
def lonely_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server on the same accounts that cannot reach Redis."""
    proxy, url = stack.redis_proxy()
    proxy.cut()
    with server_process({**stack.env, "REDIS_URL": url}, logs / "lonely.log") as process:
        yield process
