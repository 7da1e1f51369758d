"""Connections to the telemetry database: a bounded pool per event loop, bounded waits, the driver's errors translated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.conf import settings
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from asgi_project.errors import Unavailable

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]

CONNECT_TIMEOUT_S = 2
# After this long without success the pool stops trying by itself; the next request makes it try again at once.
RECONNECT_TIMEOUT_S = 2.0
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()


async def _pool() -> Pool:
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = AsyncConnectionPool(
            settings.TELEMETRY_URL,
            connection_class=psycopg.AsyncConnection[tuple[Any, ...]],
            kwargs={"autocommit": True, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": "wattstream server"},
            min_size=1,
            max_size=settings.TELEMETRY_POOL_SIZE,
            max_waiting=settings.TELEMETRY_POOL_WAITING,
            timeout=settings.TELEMETRY_POOL_TIMEOUT_MS / 1000,
            reconnect_timeout=RECONNECT_TIMEOUT_S,
            check=AsyncConnectionPool.check_connection,
            open=False,
            name="telemetry",
        )
        await pool.open(wait=False)
    return pool


async def pool_close() -> None:
    """Close the pool of the running loop, if one was opened."""
    pool = _pools.pop(asyncio.get_running_loop(), None)
    if pool is not None:
        await pool.close(timeout=2.0)


@asynccontextmanager
async def telemetry() -> AsyncIterator[Connection]:
    """Borrow a connection (autocommit, the role that can only SELECT).

    Raises `Unavailable` when none is to be had in time, when the database goes away meanwhile, or when a statement
    takes longer than HISTORY_TIMEOUT_MS; a statement that is cut short is cancelled in the database too.
    """
    pool = await _pool()
    try:
        async with pool.connection() as connection, asyncio.timeout(settings.HISTORY_TIMEOUT_MS / 1000):
            yield connection
    except (PoolTimeout, TooManyRequests) as error:
        raise Unavailable("The telemetry database is unreachable or saturated.") from error
    except (TimeoutError, psycopg.errors.QueryCanceled) as error:
        raise Unavailable("The telemetry database took too long; ask for a shorter range.", retry_after_s=5) from error
    except psycopg.OperationalError as error:
        raise Unavailable("The telemetry database is unreachable.") from error
