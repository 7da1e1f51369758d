"""Storing: a bounded queue of readings and one task that puts them into TimescaleDB in batches, whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

import psycopg
from psycopg.conninfo import make_conninfo

from telemetry.backoff import Backoff
from telemetry.catalogue import Catalogue
from telemetry.reading import Reading
from telemetry.times import iso_from_us
from writer.metrics import Metrics
from writer.settings import Settings
from writer.storage.rows import Statements, binary_rows

log = logging.getLogger("writer.storage.store")

CONNECT_TIMEOUT_S = 3
# Half-open connections: the kernel gives up on unanswered data, and asks an idle peer whether it is still there.
CONNECTION_OPTIONS = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "tcp_user_timeout": 5_000,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
SESSION = """SELECT set_config('statement_timeout', %s, false),
                    set_config('idle_in_transaction_session_timeout', %s, false)"""
# SQLSTATE classes in which the rows are at fault and another attempt with all of them would fail again:
# data exception, integrity constraint violation, an exception raised by a trigger.
ROWS_AT_FAULT = ("22", "23", "P0")


class Store:
    """Constructed closed; one owner calls `open` and `close`. `offer` never waits.

    A reading leaves the queue when its transaction is committed, so a batch that failed is simply the next batch again,
    and storing a reading twice changes nothing.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, metrics: Metrics) -> None:
        self._settings = settings
        self._statements = Statements(catalogue)
        self._metrics = metrics
        self._queue: deque[Reading] = deque()
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._lock = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def unstored(self) -> Sequence[Reading]:
        """Readings of which it is not known that they are in TimescaleDB, in the order in which they arrived."""
        return self._queue

    def open(self) -> asyncio.Task[None]:
        """Start storing; the task that does it ends at `close`. The database need not be there yet."""
        self._task = asyncio.create_task(self._run(), name="storer")
        return self._task

    async def close(self) -> None:
        """Store what is queued, for at most the grace period; say how much was not stored."""
        self._is_closing = True
        self._enough.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.grace_s):
                await self._empty.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._disconnect()
        if self._queue:
            self._metrics.not_stored += len(self._queue)
            log.error("%d readings were not stored: the database did not take them in time", len(self._queue))

    def offer(self, readings: Sequence[Reading]) -> bool:
        """Take all of `readings`, or none and say False where they do not all fit into the queue."""
        if len(self._queue) + len(readings) > self._settings.queue_max_readings:
            return False
        if readings:
            self._queue.extend(readings)
            self._some.set()
            self._empty.clear()
            if len(self._queue) >= self._settings.batch_readings:
                self._enough.set()
        return True

    async def ping(self) -> None:
        """Ask the database something. Raises psycopg.Error or TimeoutError where it does not answer."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S), self._lock:
            try:
                connection = await self._connected()
                await connection.execute("SELECT 1")
                await connection.commit()
            except (psycopg.Error, OSError, asyncio.CancelledError):
                await self._disconnect()
                raise

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            await self._gather()
            try:
                async with self._lock:
                    await self._store(list(islice(self._queue, self._settings.batch_readings)))
                if backoff.failures:
                    log.warning("storing again after %d failed attempts", backoff.failures)
                backoff.reset()
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._metrics.store_errors += 1
                await self._disconnect()
                if not backoff.failures:
                    log.warning("not storing, will go on trying (%d queued): %s", len(self._queue), _one_line(error))
                await backoff.wait()

    async def _gather(self) -> None:
        """Wait for a full batch, or for the flush interval to pass after the first reading of one."""
        await self._some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.flush_ms / 1000):
                await self._enough.wait()

    async def _store(self, batch: Sequence[Reading]) -> None:
        """Store the head of the queue and take it off; where rows are at fault, halve until only they are left out."""
        try:
            stored = await self._insert(batch)
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in ROWS_AT_FAULT:
                raise
            if len(batch) > 1:
                await self._store(batch[: len(batch) // 2])
                await self._store(batch[len(batch) // 2 :])
                return
            self._metrics.store_refused += 1
            where = f"{batch[0].device_id} {iso_from_us(batch[0].us)}"
            log.warning("the database refused the reading %s: %s", where, _one_line(error))
        else:
            self._metrics.batches += 1
            self._metrics.stored += stored
            self._metrics.duplicates += len(batch) - stored
        self._take_off(len(batch))

    async def _insert(self, batch: Sequence[Reading]) -> int:
        """One transaction; the number of rows that are new."""
        async with asyncio.timeout(self._settings.store_timeout_ms / 1000):
            connection = await self._connected()
            async with connection.transaction(), connection.cursor() as cursor:
                async with cursor.copy(self._statements.copy) as copy:
                    await copy.write(binary_rows(batch))
                await cursor.execute(self._statements.insert)
                return cursor.rowcount

    def _take_off(self, count: int) -> None:
        for _ in range(count):
            self._queue.popleft()
        if not self._queue:
            self._some.clear()
            self._empty.set()
        if len(self._queue) < self._settings.batch_readings and not self._is_closing:
            self._enough.clear()

    async def _connected(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                make_conninfo(self._settings.telemetry_admin_url, **CONNECTION_OPTIONS)
            )
            await self._connection.execute(SESSION, [str(self._settings.store_timeout_ms)] * 2)
            await self._connection.execute(self._statements.create)
            await self._connection.commit()
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
