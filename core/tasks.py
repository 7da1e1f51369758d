"""Background tasks: referenced while they run, failures logged, cancelled with their owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

RESTART_PAUSE_S = 1.0
logger = logging.getLogger(__name__)


class Tasks:
    """The background tasks of one owner. The event loop itself keeps only weak references to tasks.

    `ignored`: exceptions that end a task without a line in the log.
    """

    __slots__ = ("_ignored", "_owner", "_running")

    def __init__(self, owner: str, *, ignored: tuple[type[BaseException], ...] = ()) -> None:
        self._owner = owner
        self._ignored = ignored
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """How many tasks are running."""
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any]:
        """Run `work` in the running event loop. An exception is logged with its traceback."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel every running task, without waiting for its end."""
        for task in list(self._running):
            task.cancel()

    async def close(self) -> None:
        """Cancel every running task and wait until all have ended."""
        tasks = list(self._running)
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, self._ignored):
            logger.error("a task of the %s failed", self._owner, exc_info=error)


class Service:
    """Work that goes on until its owner closes it. If it fails or returns, it starts again after RESTART_PAUSE_S."""

    __slots__ = ("_name", "_task", "_work")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], *, name: str) -> None:
        self._work = work
        self._name = name
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start in the running event loop. Does nothing if it is running."""
        if not self.is_running:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Cancel the work and wait until it has ended. Does nothing if it is not running."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
                logger.error("the %s ended early; it starts again", self._name)
            except Exception:  # whatever it was: the server must not go on without this service
                logger.exception("the %s failed; it starts again", self._name)
            await asyncio.sleep(RESTART_PAUSE_S)
