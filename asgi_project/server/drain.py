"""SIGTERM, the first part: say at /readyz that this process is going, while requests and sockets are still open.

uvicorn refuses connections from the moment it stops, so a balancer would learn of it by failing requests. Here the
signal is held back for at most SHUTDOWN_DRAIN_S, or until nothing is open; then uvicorn does its part: sockets are
closed with 1012, requests have SHUTDOWN_GRACE_S. A second signal is not held back.
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
    """Of one process. `is_draining` from the first signal on."""

    def __init__(self) -> None:
        self.is_draining = False
        self._task: asyncio.Task[None] | None = None

    def watch(self, is_busy: Callable[[], bool]) -> None:
        """Stand before the handlers that the server has set. Only the main thread can; elsewhere it does nothing."""
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
