"""Connections to the telemetry database: a bounded pool per event loop, bounded waits, errors translated.

TELEMETRY_URL may name several hosts: a standby to read from, and the primary for when the standby is unavailable. A
connection that breaks or does not respond makes the pool connect anew to any host; the interrupted read is repeated.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from django.conf import settings
from prometheus_client import Counter
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from core.errors import Unavailable
from core.fair import FairGate
from core.singletons import PerLoop
from history_app.store.arrays import arrays_register
from history_app.store.connection import Connection
from telemetry.postgres import connection_options

Pool = AsyncConnectionPool[Connection]

CONNECT_TIMEOUT_S = 2
# After this long without success the pool stops trying by itself; the next request makes it try again at once.
RECONNECT_TIMEOUT_S = 2.0
IDLE_BEFORE_CHECK_S = 1.0
CHECK_TIMEOUT_S = 0.8
CANCEL_TIMEOUT_S = 0.1
CONNECTION_OPTIONS = connection_options(application_name="wattstream server", connect_timeout_s=CONNECT_TIMEOUT_S)
BORROW_TIMEOUT_S = settings.TELEMETRY_POOL_TIMEOUT_MS / 1000 + 0.3
UNAVAILABLE = Counter(
    "wattstream_telemetry_unavailable",
    "Questions answered 503: no connection in time (saturated), the database away, or the work too slow.",
    ["reason"],
)
_AWAY = "The telemetry database is unreachable or saturated."
T = TypeVar("T")
logger = logging.getLogger(__name__)
_heard: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
_abandoned: set[asyncio.Task[Any]] = set()
_gate = PerLoop(
    lambda: FairGate(
        at_once=settings.TELEMETRY_POOL_SIZE,
        per_user=max(1, settings.TELEMETRY_POOL_SIZE // 2),
        waiting_per_user=settings.TELEMETRY_POOL_WAITING,
    )
)
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()


class _BrokenError(psycopg.OperationalError):
    """The connection broke while it was used."""


async def _pool() -> Pool:
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = AsyncConnectionPool(
            settings.TELEMETRY_URL,
            connection_class=psycopg.AsyncConnection[tuple[Any, ...]],
            kwargs={"autocommit": True, **CONNECTION_OPTIONS},
            min_size=1,
            max_size=settings.TELEMETRY_POOL_SIZE,
            timeout=settings.TELEMETRY_POOL_TIMEOUT_MS / 1000,
            reconnect_timeout=RECONNECT_TIMEOUT_S,
            max_lifetime=settings.TELEMETRY_POOL_LIFETIME_S,
            check=_check,
            configure=arrays_register,
            open=False,
            name="telemetry",
        )
        await pool.open(wait=False)
    return pool


def pool_stats() -> Mapping[str, int]:
    """The statistics of the running loop's pool (psycopg_pool's `get_stats`); empty before its first use."""
    pool = _pools.get(asyncio.get_running_loop())
    if pool is None:
        return {}
    stats = pool.get_stats()
    return {**stats, "requests_waiting": stats.get("requests_waiting", 0) + _gate().waiting}


async def pool_close() -> None:
    """Close the pool of the running loop, if one was opened."""
    pool = _pools.pop(asyncio.get_running_loop(), None)
    if pool is not None:
        await pool.close(timeout=2.0)


async def telemetry_run(work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run `work` on a borrowed connection (autocommit, the role that can only SELECT); repeat it once if that breaks.

    Raises `Unavailable` if no connection is free in time, if the database fails meanwhile, or if the work takes longer
    than HISTORY_TIMEOUT_MS. A cancellation or timeout also cancels the statement in the database. That can take seconds
    if the database does not respond, so it continues in the background.
    """
    pool = await _pool()
    is_borrowed = asyncio.Event()

    async def borrowed() -> T:
        async with _gate().turn(), pool.connection() as connection:
            is_borrowed.set()
            try:
                result = await work(connection)
            except psycopg.OperationalError as error:
                if connection.closed:
                    raise _BrokenError from error
                raise
            _heard[connection] = time.monotonic()
            return result

    async def twice() -> T:
        try:
            return await borrowed()
        except _BrokenError:
            await pool.drain()  # what broke one connection has broken the others too
            return await borrowed()

    task = asyncio.create_task(twice())
    try:
        await asyncio.wait({task}, timeout=BORROW_TIMEOUT_S)
        if not task.done() and is_borrowed.is_set():
            await asyncio.wait({task}, timeout=settings.HISTORY_TIMEOUT_MS / 1000)
    finally:
        if not task.done():
            _abandon(task)
    if not task.done():
        UNAVAILABLE.labels("too_slow" if is_borrowed.is_set() else "saturated").inc()
        if is_borrowed.is_set():
            raise Unavailable("The telemetry database took too long; ask for a shorter range.", retry_after_s=5)
        raise Unavailable(_AWAY)
    try:
        return task.result()
    except (PoolTimeout, TooManyRequests, psycopg.OperationalError) as error:
        UNAVAILABLE.labels("saturated" if isinstance(error, (PoolTimeout, TooManyRequests)) else "away").inc()
        raise Unavailable(_AWAY) from error


def _abandon(task: asyncio.Task[Any]) -> None:
    _abandoned.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()):
        logger.info("an abandoned query ended: %s", error)


async def _check(connection: Connection) -> None:
    """Check that a connection works before it is lent, if it was idle for a while.

    Never in a separate task: the pool closes a connection whose check is cancelled, and libuv aborts the process if a
    socket is closed while a task still waits for it (https://github.com/libuv/libuv/issues/5130).
    """
    if time.monotonic() - _heard.get(connection, 0.0) <= IDLE_BEFORE_CHECK_S:
        return
    try:
        # psycopg cancels an interrupted statement at the host; if that is interrupted too, it closes the connection.
        async with asyncio.timeout(CHECK_TIMEOUT_S + CANCEL_TIMEOUT_S), asyncio.timeout(CHECK_TIMEOUT_S):
            await AsyncConnectionPool.check_connection(connection)
    except TimeoutError:
        await connection.close()
        if (pool := _pools.get(asyncio.get_running_loop())) is not None:
            await pool.drain()  # its host is silent; other connections of the pool may lead to the same host
        raise psycopg.OperationalError("the connection does not answer") from None
