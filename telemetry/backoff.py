"""Waits longer after each consecutive failure, up to a limit."""

from __future__ import annotations

import asyncio

FIRST_S = 0.1
LONGEST_S = 2.0


class Backoff:
    """`failures` counts consecutive failures. Without jitter: few processes use one server."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self) -> float:
        """Count a failure; return the seconds to wait before the next attempt."""
        self.failures += 1
        return float(min(LONGEST_S, FIRST_S * 2 ** min(self.failures - 1, 10)))

    async def wait(self) -> None:
        """Count a failure and wait."""
        await asyncio.sleep(self.failed())

    def reset(self) -> None:
        """Forget the failures after a success."""
        self.failures = 0
