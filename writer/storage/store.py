"""Stores readings: a bounded queue, and one task that writes it to TimescaleDB in batches."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

import psycopg
from psycopg.conninfo import make_conninfo

from telemetry.backoff import Backoff
from telemetry.catalogue import Catalogue
from telemetry.postgres import connection_options
from telemetry.reading import Reading
from telemetry.times import datetime_from_us, iso_from_us
from writer.metrics import Metrics
from writer.settings import WriterSettings
from writer.storage.earlier import Earlier
from writer.storage.rows import Statements, binary_rows, merged_by_key

log = logging.getLogger("writer.storage.store")

CONNECT_TIMEOUT_S = 3
CONNECTION_OPTIONS = connection_options(application_name="wattstream writer", connect_timeout_s=CONNECT_TIMEOUT_S)
SESSION = """SELECT set_config('statement_timeout', %s, false),
                    set_config('idle_in_transaction_session_timeout', %s, false)"""
# SQLSTATE classes in which the rows are at fault: data exception, integrity constraint violation, raised by a trigger.
ROWS_AT_FAULT = frozenset(("22", "23", "P0"))
# SQLSTATE classes in which no row can be stored at the moment: connection, transaction state, authorization, no such
# database, deadlock, resources, object in use, operator intervention.
UNAVAILABLE = frozenset(("08", "25", "28", "3D", "40", "53", "55", "57"))
# TimescaleDB's limit of decompressed tuples per transaction is in class 53, and fewer rows stay below it.
TOO_MANY_AT_ONCE = "53400"
MAX_ERROR_CHARACTERS = 300

Refused = list[tuple[Reading, psycopg.Error]]


class Store:
    """Stores what it is offered. One owner calls `open` and `close`; `offer` never waits.

    A reading leaves the queue when its transaction is committed. A batch that failed is the next batch again: storing a
    reading twice changes nothing.

    An earlier process may have stored readings that are still ahead of the clock. They are found when this process
    stores the first reading of their device.
    """

    def __init__(
        self,
        settings: WriterSettings,
        catalogue: Catalogue,
        metrics: Metrics,
        on_ahead: Callable[[Sequence[Reading]], object],
    ) -> None:
        """`on_ahead` is called with the readings that an earlier process stored ahead of the clock, oldest first."""
        self._settings = settings
        self._statements = Statements(catalogue)
        self._metrics = metrics
        self._on_ahead = on_ahead
        self._earlier = Earlier(catalogue, settings.max_future_s)
        self._queue: deque[Reading] = deque()
        self._batch_readings = settings.batch_readings
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
        """Readings that may not be in TimescaleDB yet, in order of arrival."""
        return self._queue

    def open(self) -> asyncio.Task[None]:
        """Start storing; the returned task ends at `close`. The database need not be reachable yet."""
        self._task = asyncio.create_task(self._run(), name="storer")
        return self._task

    async def close(self) -> None:
        """Store what is queued, for at most the grace period; log how much was not stored."""
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
            log.error("%d readings were not stored: the database did not accept them in time", len(self._queue))

    def offer(self, readings: Sequence[Reading]) -> bool:
        """Queue all of `readings`; or none, and return False, if they do not all fit into the queue."""
        if len(self._queue) + len(readings) > self._settings.queue_max_readings:
            return False
        if readings:
            self._earlier.note(readings)
            self._queue.extend(readings)
            self._some.set()
            self._empty.clear()
            if len(self._queue) >= self._settings.batch_readings:
                self._enough.set()
        return True

    async def ping(self) -> None:
        """Query the database. Raises psycopg.Error, OSError or TimeoutError if it does not respond."""
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
                    await self._store_next()
                if backoff.failures:
                    log.warning("storing again after %d failed attempts", backoff.failures)
                backoff.reset()
                self._batch_readings = min(2 * self._batch_readings, self._settings.batch_readings)
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._metrics.store_errors += 1
                await self._disconnect()
                if isinstance(error, TimeoutError | psycopg.errors.QueryCanceled):
                    self._batch_readings = max(1, self._batch_readings // 2)
                if not backoff.failures:
                    log.warning("not storing, will retry (%d queued): %s", len(self._queue), _one_line(error))
                await backoff.wait()

    async def _gather(self) -> None:
        """Wait for a full batch, or for the flush interval to pass after the first reading of one."""
        await self._some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.flush_ms / 1000):
                await self._enough.wait()

    async def _store_next(self) -> None:
        """Store the head of the queue and take it off, without the readings that the database refuses for good.

        Raises psycopg.Error, OSError or TimeoutError if nothing can be stored at the moment.
        """
        batch = list(islice(self._queue, self._batch_readings))
        try:
            await self._write(batch)
        except psycopg.Error as error:
            if _is_unavailable(error) or not await self._is_fault_of_rows(batch, error):
                raise
            self._count_refused(await self._isolate(batch))
        self._take_off(len(batch))

    async def _is_fault_of_rows(self, batch: Sequence[Reading], error: psycopg.Error) -> bool:
        """Whether other readings can be stored. Where the error does not tell, the oldest and the newest are tried."""
        if (error.sqlstate or "")[:2] in ROWS_AT_FAULT:
            return True
        oldest = batch[0]
        others = (reading for reading in reversed(self._queue) if reading.device_id != oldest.device_id)
        newest = next(others, batch[-1])
        return any([not await self._isolate([reading]) for reading in (oldest, newest)])

    async def _isolate(self, batch: Sequence[Reading]) -> Refused:
        """Store what can be stored by halving the batch; return the refused readings with their errors."""
        try:
            await self._write(batch)
        except psycopg.Error as error:
            if _is_unavailable(error):
                raise
            if len(batch) == 1:
                return [(batch[0], error)]
            half = len(batch) // 2
            return [*await self._isolate(batch[:half]), *await self._isolate(batch[half:])]
        return []

    def _count_refused(self, refused: Refused) -> None:
        if refused:
            self._metrics.store_refused += len(refused)
            reading, error = refused[0]
            where = f"{reading.device_id} {iso_from_us(reading.us)}"
            log.warning("the database refused %d readings, the first: %s: %s", len(refused), where, _one_line(error))

    async def _write(self, batch: Sequence[Reading]) -> None:
        """Insert a batch, and merge it into the rows that are stored already, in one transaction."""
        readings = merged_by_key(batch)
        async with asyncio.timeout(self._settings.store_timeout_ms / 1000):
            connection = await self._connected()
            async with connection.transaction(), connection.cursor() as cursor:
                ahead = await self._earlier.find(cursor)
                async with cursor.copy(self._statements.copy) as copy:
                    await copy.write(binary_rows(readings))
                await cursor.execute(self._statements.insert)
                inserted, corrected = cursor.rowcount, 0
                if inserted < len(readings):
                    times = [reading.us for reading in readings]
                    span = datetime_from_us(min(times)), datetime_from_us(max(times))
                    # Not prepared: the plan depends on the span.
                    await cursor.execute(self._statements.merge, span, prepare=False)
                    corrected = cursor.rowcount
        self._earlier.found()
        if ahead:
            self._on_ahead(ahead)
        self._metrics.batches += 1
        self._metrics.stored += inserted
        self._metrics.corrected += corrected
        self._metrics.duplicates += len(batch) - inserted - corrected

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


def _is_unavailable(error: psycopg.Error) -> bool:
    state = error.sqlstate or ""
    return not state or (state[:2] in UNAVAILABLE and state != TOO_MANY_AT_ONCE)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:MAX_ERROR_CHARACTERS] or type(error).__name__
