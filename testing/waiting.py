"""Wait for a condition with a deadline. Tests never wait for the clock alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_S = 0.05


def wait_until(condition: Callable[[], T], what: str, *, deadline_s: float = 20.0) -> T:
    """Return the first true value of `condition`. Fails the test at the deadline; `what` describes the condition."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(PAUSE_S)
    return value


async def wait_until_async(condition: Callable[[], Awaitable[T]], what: str, *, deadline_s: float = 20.0) -> T:
    """`wait_until` for an async condition."""
    end = time.monotonic() + deadline_s
    while not (value := await condition()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        await asyncio.sleep(PAUSE_S)
    return value
