"""Draining, the first part of SIGTERM: /readyz says that this process stops, while requests and sockets are still open.

uvicorn refuses connections as soon as it stops, so a load balancer would notice only by failing requests. This module
therefore delays the signal until nothing is open, for at most SHUTDOWN_DRAIN_S. Then uvicorn stops: it closes sockets
with 1012 and gives requests SHUTDOWN_GRACE_S. A second signal is not delayed.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from django.conf import settings

POLL_S = 0.05
Handler = Callable[[int, FrameType | None], Any]
logger = logging.getLogger(__name__)


class Drain:
    """The draining of one process. `is_draining` is true from the first signal on."""

    def __init__(self) -> None:
        self.is_draining = False
        self._task: asyncio.Task[None] | None = None

    def watch(self, is_busy: Callable[[], bool]) -> None:
        """Replace the server's signal handlers by ones that delay them. Does nothing outside the main thread."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            server = signal.getsignal(number)
            if callable(server):
                try:
                    signal.signal(number, self._handler(loop, server, is_busy))
                except ValueError:
                    return

    def _handler(
        self,
        loop: asyncio.AbstractEventLoop,
        server: Callable[[int, FrameType | None], Any],
        is_busy: Callable[[], bool],
    ) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            if self.is_draining or not is_busy() or not settings.SHUTDOWN_DRAIN_S:
                self.is_draining = True
                server(number, frame)
                return
            self.is_draining = True
            loop.call_soon_threadsafe(self._begin, lambda: server(number, None), is_busy)

        return handle

    def _begin(self, stop: Callable[[], Any], is_busy: Callable[[], bool]) -> None:
        self._task = asyncio.get_running_loop().create_task(self._wait(stop, is_busy))

    async def _wait(self, stop: Callable[[], Any], is_busy: Callable[[], bool]) -> None:
        logger.info("draining for at most %s s", settings.SHUTDOWN_DRAIN_S)
        deadline = time.monotonic() + settings.SHUTDOWN_DRAIN_S
        while is_busy() and time.monotonic() < deadline:  # noqa: ASYNC110 - two counters in hot places tell
            await asyncio.sleep(POLL_S)
        stop()


drain = Drain()
