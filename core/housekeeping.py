"""Periodic jobs on the accounts database, run by every server process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError
from django.db.models import QuerySet

from core.tasks import Service

CHUNK = 500  # rows per DELETE: the longest that another writer waits
STOP_TIMEOUT_S = 3.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Call `function` first after `first_s` seconds, then every `every_s`; with `at_close` also as the server stops."""

    function: Callable[[], object]
    first_s: float
    every_s: float
    at_close: bool = False


class Housekeeper:
    """Runs jobs one after another, in separate threads. A job that the database refuses is repeated when next due."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._service = Service(self._run, name="housekeeper")

    def start(self) -> None:
        """Start in the running event loop. Does nothing if it is running."""
        self._service.start()

    async def close(self) -> None:
        """Stop, and run the `at_close` jobs for at most STOP_TIMEOUT_S."""
        await self._service.close()
        last = [asyncio.create_task(_do(job.function)) for job in self._jobs if job.at_close]
        if last:
            await asyncio.wait(last, timeout=STOP_TIMEOUT_S)

    async def _run(self) -> None:
        due = [time.monotonic() + job.first_s for job in self._jobs]
        while True:
            await asyncio.sleep(max(0.0, min(due) - time.monotonic()))
            for number, job in enumerate(self._jobs):
                if due[number] <= time.monotonic():
                    await _do(job.function)
                    due[number] = time.monotonic() + job.every_s


async def _do(function: Callable[[], object]) -> None:
    try:
        # Not in the threads that decide access: requests wait for those.
        await database_sync_to_async(function, thread_sensitive=False)()
    except DatabaseError as error:
        logger.warning("%s is postponed, the accounts database does not answer: %s", function.__name__, error)


def rows_delete(rows: QuerySet[Any]) -> int:
    """Delete `rows`, CHUNK at a time, each chunk in a separate transaction. Returns the number of deleted rows."""
    deleted = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        deleted += rows.model._default_manager.filter(pk__in=chunk).delete()[0]
    return deleted
