"""One round of the rollup: what is due is divided into slices, and each slice is one transaction.

A slice first takes the advisory lock of its shard, then begins its transaction, so that the snapshot is never older
than the last slice of the same devices. Whatever ends it early (an error, a kill, a lost connection) leaves the tiers
and the log as they were; PostgreSQL releases the lock with the session.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import make_conninfo

from rollup import statements
from rollup.progress import Progress
from rollup.retention import retention_statements
from rollup.spans import Slice, Span, parameters, slices_of, split_at, widened
from telemetry.catalogue import Catalogue
from telemetry.floor import lag_statement
from telemetry.postgres import connection_options
from telemetry.tiers import COARSE_SECONDS

log = logging.getLogger("rollup")

Connection = AsyncConnection[tuple[Any, ...]]
CONNECT_TIMEOUT_S = 5
CONNECTION_OPTIONS = connection_options(application_name="wattstream rollup", connect_timeout_s=CONNECT_TIMEOUT_S)
# A round plans again after this long, so that a backfill does not delay the newest minute.
ROUND_S = 5.0
LOCK_TIMEOUT_MS = 10_000
RETENTION_PERIOD_S = 3_600.0


class ChunksChangedError(Exception):
    """Chunks of the hypertable were created or dropped since the round began: the slice was rolled back."""


@dataclass
class Engine:
    """Rebuilds what the change log names. `settle_s`: how long a minute must be over before it is due."""

    catalogue: Catalogue
    settle_s: float
    statement_timeout_s: float
    progress: Progress = field(default_factory=Progress)
    on_slice: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._fine = statements.fine_steps(self.catalogue)
        self._coarse = statements.coarse_steps(self.catalogue)
        self._pruned_at = float("-inf")

    async def connect(self, url: str) -> Connection:
        """A connection whose statements are bounded in time. Raises psycopg.Error."""
        connection = await AsyncConnection.connect(
            make_conninfo(url, **CONNECTION_OPTIONS), autocommit=True, prepare_threshold=None
        )
        try:
            await self.configure(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def configure(self, connection: Connection) -> None:
        """Bound every wait of the session. `connection` is in autocommit mode."""
        timeout_ms = int(self.statement_timeout_s * 1000)
        await connection.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false), set_config('jit', 'off', false)",
            [str(timeout_ms), str(LOCK_TIMEOUT_MS), str(timeout_ms)],
        )
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)

    async def round(self, connection: Connection) -> bool:
        """Rebuild what is due, newest day first, for about `ROUND_S`; whether there may be more to do at once.

        Raises psycopg.Error. A slice that another rollup works on is waited for at the end.
        """
        await self._watch_chunks(connection)
        slices, quarter, read_at, is_whole = await self._plan(connection)
        until = time.monotonic() + ROUND_S
        busy: list[Slice] = []
        try:
            for number, part in enumerate(slices):
                if time.monotonic() > until:
                    is_whole = False
                    break
                if not await self._work(connection, part, quarter, wait=False):
                    busy.append(part)
                elif number % 8 == 0:
                    await asyncio.sleep(0)
            for part in busy if is_whole else []:
                await self._work(connection, part, quarter, wait=True)
            if is_whole:
                await connection.execute(statements.caught_up(self.catalogue), {"read_at": read_at})
        except (ChunksChangedError, psycopg.errors.LockNotAvailable):
            is_whole = False
        await self._measure(connection)
        await self._prune(connection)
        return not is_whole

    async def _plan(self, connection: Connection) -> tuple[list[Slice], int, object, bool]:
        """The slices, the start of the current quarter, the time of the plan, and whether it names all that is due."""
        cursor = await connection.execute(
            statements.plan(self.catalogue), {"settle": f"{self.settle_s} seconds"}, binary=True
        )
        rows = await cursor.fetchall()
        quarter, read_at = rows[0][5:7]
        if rows[0][0] is None:
            self.progress.total = 0
            return [], quarter, read_at, True
        self.progress.total = rows[0][4]
        slices = [part for day, shard, devices, lengths, *_ in rows for part in slices_of(day, shard, devices, lengths)]
        return slices, quarter, read_at, sum(len(row[2]) for row in rows) == self.progress.total

    async def _work(self, connection: Connection, part: Slice, quarter: int, *, wait: bool) -> bool:
        """One slice; False where another session holds its shard and `wait` is off."""
        key = [part.shard]
        if wait:
            await connection.execute("SELECT pg_advisory_lock(%s::bigint)", key)
        else:
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s::bigint)", key)
            if await cursor.fetchone() != (True,):
                return False
        try:
            async with connection.transaction():
                readings, below_floor = await self._rebuild(connection, part, quarter)
        finally:
            if not connection.broken:
                await connection.execute("SELECT pg_advisory_unlock(%s::bigint)", key)
        self._count(part, readings, below_floor)
        return True

    async def _rebuild(self, connection: Connection, part: Slice, quarter: int) -> tuple[int, int]:
        """Inside the transaction: the readings that were read and the log rows that lay below the floor."""
        await connection.execute(statements.lock(self.catalogue))
        cursor = await connection.execute(
            statements.take(self.catalogue),
            {"devices": list(part.devices), "day": part.day, "settle": f"{self.settle_s} seconds"},
            binary=True,
        )
        taken = await cursor.fetchall()
        fine, coarse = ([Span(*row[1:]) for row in taken if row[0] == grain] for grain in _GRAINS)
        closed, current = split_at(coarse, quarter)
        readings = await _run(connection, self._fine, fine)
        await _run(connection, self._coarse, closed)
        if current:
            await connection.execute(statements.put_back(self.catalogue), parameters(current))
        if fine or closed:
            cursor = await connection.execute(statements.chunks_changed(self.catalogue))
            if await cursor.fetchone() != (False,):
                raise ChunksChangedError
        return readings, sum(row[2] for row in taken if row[0] == 0)

    def _count(self, part: Slice, readings: int, below_floor: int) -> None:
        if below_floor:
            log.warning("%d late changes below the floor are stored and change no tier: %s", below_floor, part.devices)
        self.progress.slices += 1
        self.progress.days += len(part.devices)
        self.progress.readings += readings
        self.progress.below_floor += below_floor
        self.on_slice()

    async def _watch_chunks(self, connection: Connection) -> None:
        """Raise the floor over chunks that have vanished."""
        cursor = await connection.execute(statements.chunks_changed(self.catalogue))
        if await cursor.fetchone() == (False,):
            return
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        async with connection.transaction():
            for statement in statements.chunk_statements(self.catalogue):
                await connection.execute(statement)
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)

    async def _measure(self, connection: Connection) -> None:
        cursor = await connection.execute(lag_statement(self.catalogue))
        row = await cursor.fetchone()
        self.progress.caught_up_at = None if row is None else time.monotonic() - row[0]

    async def _prune(self, connection: Connection) -> None:
        """Delete rows of tiers beyond the catalogue's `keep`."""
        if time.monotonic() - self._pruned_at < RETENTION_PERIOD_S:
            return
        self._pruned_at = time.monotonic()
        for statement in retention_statements(self.catalogue):
            await connection.execute(statement)


_GRAINS = (statements.FINE_SECONDS, COARSE_SECONDS)


async def _run(connection: Connection, steps: list[statements.TierStep], spans: list[Span]) -> int:
    """Rebuild the spans in every tier of `steps`; what the last statement of the first step returns."""
    result = 0
    for number, step in enumerate(steps if spans else []):
        values = parameters(widened(spans, step.seconds))
        for statement in step.statements:
            cursor = await connection.execute(statement, values)
        if number == 0 and cursor.description:
            result = (await cursor.fetchone() or (0,))[0]
    return result
