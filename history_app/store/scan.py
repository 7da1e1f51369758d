"""A read of any length: a server-side cursor on a connection of its own, so that it starves nobody of the pool's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from django.conf import settings

from core.errors import Unavailable
from history_app.store.pool import CONNECT_TIMEOUT_S, Connection

APPLICATION_NAME = "wattstream export"
BATCH_ROWS = 1_000
# The database itself ends a statement that takes too long; this is for one that has gone silent.
STEP_TIMEOUT_S = settings.TELEMETRY_STATEMENT_TIMEOUT_MS / 1000 + 2
# Between two batches the transaction is idle while the client takes what it was sent: two chunks at most.
IDLE_TIMEOUT_MS = 1000 * (2 * settings.EXPORT_STALL_TIMEOUT_S + 30)
BUSY_RETRY_AFTER_S = 10
Rows = list[tuple[Any, ...]]
T = TypeVar("T")
_running = 0


async def scan(text: bytes, parameters: dict[str, Any]) -> AsyncGenerator[Rows, None]:
    """The rows of one statement in batches of BATCH_ROWS, all of one snapshot, in constant memory.

    Raises `Unavailable` when EXPORTS_AT_ONCE scans are running in this process, and when the database is away or goes
    away. Closing the generator closes the connection, which ends the transaction.
    """
    with _slot():
        connection = await _step(_connect())
        cursor = psycopg.AsyncServerCursor(connection, "scan")
        try:
            await _step(_prepare(connection))
            await _step(cursor.execute(text, parameters, binary=True))
            while rows := await _step(cursor.fetchmany(BATCH_ROWS)):
                yield rows
        finally:
            # The connection first: then nothing is left that could wait for the database.
            await connection.close()
            await cursor.close()


@contextmanager
def _slot() -> Iterator[None]:
    global _running
    if _running >= settings.EXPORTS_AT_ONCE:
        raise Unavailable(
            f"{settings.EXPORTS_AT_ONCE} exports are running already; try again.", retry_after_s=BUSY_RETRY_AFTER_S
        )
    _running += 1
    try:
        yield
    finally:
        _running -= 1


def scans_running() -> int:
    """Scans of this process at this moment."""
    return _running


async def _connect() -> Connection:
    return await psycopg.AsyncConnection.connect(
        settings.TELEMETRY_URL, connect_timeout=CONNECT_TIMEOUT_S, application_name=APPLICATION_NAME
    )


async def _prepare(connection: Connection) -> None:
    await connection.set_read_only(True)
    await connection.execute(
        "SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [str(IDLE_TIMEOUT_MS)]
    )


async def _step(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(STEP_TIMEOUT_S):
            return await work
    except (TimeoutError, psycopg.OperationalError, psycopg.InternalError) as error:
        raise Unavailable("The telemetry database is unreachable or saturated.") from error
