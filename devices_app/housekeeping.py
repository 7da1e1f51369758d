"""What has to be done now and then: refusals written to the audit log, expired grants ended, what is old deleted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

from auth_app.access_changes import changes_purge
from auth_app.models import AccessToken, AuditEntry
from devices_app.denials import denials_write
from devices_app.services import grants_end_expired

TOKENS_KEPT_DAYS = 7  # after their end: so long a list of keys shows why one does not work any more
CHUNK = 500  # rows deleted at once: whoever else wants to write waits no longer than for these
STOP_TIMEOUT_S = 3.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows were deleted."""

    tokens: int
    audit_entries: int


def purge() -> Purged:
    """Delete tokens that ended TOKENS_KEPT_DAYS ago, sessions that have, audit entries of AUDIT_RETENTION_DAYS ago."""
    now = timezone.now()
    ended = now - timedelta(days=TOKENS_KEPT_DAYS)
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return Purged(
        tokens=_delete(AccessToken.objects.filter(Q(expires_at__lt=ended) | Q(revoked_at__lt=ended))),
        audit_entries=_delete(AuditEntry.objects.filter(time__lt=now - timedelta(days=settings.AUDIT_RETENTION_DAYS))),
    )


def _delete(rows: QuerySet[Any]) -> int:
    deleted = 0
    while chunk := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        deleted += rows.model._default_manager.filter(pk__in=chunk).delete()[0]
    return deleted


class Housekeeper:
    """Runs each job every so often in a thread of its own. A job that fails is logged, and tried again in time."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="housekeeper")

    async def close(self) -> None:
        """Stop, and write what was refused until now."""
        if self._task is not None:
            self._task.cancel()
        await asyncio.wait([asyncio.create_task(_do(denials_write))], timeout=STOP_TIMEOUT_S)

    async def _run(self) -> None:
        due = [time.monotonic() + job.first_s for job in JOBS]
        while True:
            await asyncio.sleep(max(0.0, min(due) - time.monotonic()))
            for number, job in enumerate(JOBS):
                if due[number] <= time.monotonic():
                    await _do(job.function)
                    due[number] = time.monotonic() + job.every_s


@dataclass(frozen=True, slots=True)
class Job:
    function: Callable[[], object]
    first_s: float
    every_s: float


JOBS = (
    Job(denials_write, first_s=2, every_s=2),
    Job(grants_end_expired, first_s=5, every_s=10),
    Job(changes_purge, first_s=30, every_s=600),
    Job(purge, first_s=60, every_s=24 * 3600),
)


async def _do(function: Callable[[], object]) -> None:
    try:
        # Not in the thread that access is decided in: nobody waits for this.
        await database_sync_to_async(function, thread_sensitive=False)()
    except DatabaseError as error:
        logger.warning("%s is put off, the accounts database does not answer: %s", function.__name__, error)


_housekeepers: WeakKeyDictionary[asyncio.AbstractEventLoop, Housekeeper] = WeakKeyDictionary()


def housekeeper_of_loop() -> Housekeeper:
    """The housekeeper of the running loop, started."""
    loop = asyncio.get_running_loop()
    housekeeper = _housekeepers.get(loop)
    if housekeeper is None:
        housekeeper = _housekeepers[loop] = Housekeeper()
    housekeeper.start()
    return housekeeper
