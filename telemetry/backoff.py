"""Waiting longer after each failure in a row, up to a limit."""

from __future__ import annotations

import asyncio

FIRST_S = 0.1
LONGEST_S = 2.0


class Backoff:
    """`failures` counts the failures in a row. One writer talks to one server, so nothing is won by jitter."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self) -> float:
        """Count a failure; the seconds to wait before the next attempt."""
        self.failures += 1
        return float(min(LONGEST_S, FIRST_S * 2 ** min(self.failures - 1, 10)))

    async def wait(self) -> None:
        """Count a failure and wait."""
        await asyncio.sleep(self.failed())

    def reset(self) -> None:
        """It worked."""
        self.failures = 0
