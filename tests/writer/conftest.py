"""Devices for the writer's tests, and separate writers for tests that disturb them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
import redis

from testing.process import Process
from testing.servers import writer_process
from testing.stack import Stack
from tests.writer.support import Device, device_new


class StartWriter(Protocol):
    """Starts a writer with these variables in addition to the stack's."""

    def __call__(self, **env: str) -> Process: ...


@pytest.fixture
def device_of_writer(stack: Stack, writer: Process) -> Device:
    return device_new(stack, writer)


@pytest.fixture
def start_writer(stack: Stack, tmp_path: Path) -> Iterator[StartWriter]:
    """Start separate writers; they stop after the test."""
    with ExitStack() as running:

        def start(**env: str) -> Process:
            return running.enter_context(writer_process({**stack.env, **env}, tmp_path / "writer.log"))

        yield start


@pytest.fixture
def redis_client(stack: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.env["REDIS_URL"], decode_responses=True) as client:
        yield client
