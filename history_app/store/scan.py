"""Reads of any length: a server-side cursor on a separate connection, so that no connection of the pool is held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from psycopg.conninfo import make_conninfo

from core.errors import Unavailable
from core.fair import FairGate
from core.singletons import PerLoop
from history_app.store.connection import Connection
from history_app.store.pool import CONNECT_TIMEOUT_S
from telemetry.postgres import connection_options

CONNECTION_OPTIONS = connection_options(application_name="wattstream export", connect_timeout_s=CONNECT_TIMEOUT_S)
BATCH_ROWS = 1_000
# The database ends a statement that takes too long; this bound is for a database that does not respond.
STEP_TIMEOUT_S = settings.TELEMETRY_STATEMENT_TIMEOUT_MS / 1000 + 2
# Between two batches the transaction is idle while the client reads: at most two chunks.
IDLE_TIMEOUT_MS = 1000 * (2 * settings.EXPORT_STALL_TIMEOUT_S + 30)
BUSY_RETRY_AFTER_S = 10
Rows = list[tuple[Any, ...]]
T = TypeVar("T")
_gate = PerLoop(
    lambda: FairGate(
        at_once=settings.EXPORTS_AT_ONCE,
        per_user=settings.EXPORTS_PER_USER,
        waiting_per_user=0,
        busy=f"{settings.EXPORTS_PER_USER} of your exports, or {settings.EXPORTS_AT_ONCE} of all users, are running.",
        retry_after_s=BUSY_RETRY_AFTER_S,
    )
)


async def scan(text: bytes, parameters: dict[str, Any]) -> AsyncGenerator[Rows, None]:
    """The rows of one statement in batches of BATCH_ROWS, all of one snapshot, in constant memory.

    Raises `Unavailable` if EXPORTS_AT_ONCE scans run in this process or EXPORTS_PER_USER of this user, and if the
    database is unavailable. Closing the generator closes the connection, which ends the transaction.
    """
    async with _gate().turn():
        connection = await _step(_connect())
        cursor = psycopg.AsyncServerCursor(connection, "scan")
        try:
            await _step(_prepare(connection))
            await _step(cursor.execute(text, parameters, binary=True))
            while rows := await _step(cursor.fetchmany(BATCH_ROWS)):
                yield rows
        finally:
            # Close the connection first: after that, nothing can wait for the database.
            await connection.close()
            await cursor.close()


def scans_running() -> int:
    """The number of scans in progress in this process."""
    return _gate().held


async def _connect() -> Connection:
    return await psycopg.AsyncConnection.connect(make_conninfo(settings.TELEMETRY_URL, **CONNECTION_OPTIONS))


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
