"""The connection pool of TimescaleDB when a request is cancelled."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from django.conf import settings
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool

from history_app.backlog import newest_stored
from history_app.planning.window import LATEST_US
from history_app.store import pool
from testing.stack import Stack
from testing.waiting import wait_until_async


async def test_cancelling_a_connection_check_does_not_close_a_socket_in_use(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise libuv aborts the process, because psycopg's pool closes a connection that is in use."""
    checked: list[psycopg.AsyncConnection] = []
    ask = AsyncConnectionPool.check_connection

    async def check(connection: psycopg.AsyncConnection) -> None:
        checked.append(connection)
        await ask(connection)

    async def is_asked() -> bool:
        return bool(checked) and checked[0].pgconn.transaction_status == TransactionStatus.ACTIVE

    async def is_over() -> bool:
        return not pool._abandoned

    proxy, url = stack.telemetry_proxy()
    monkeypatch.setattr(settings, "TELEMETRY_URL", url)
    monkeypatch.setattr(pool, "IDLE_BEFORE_CHECK_S", -1.0)
    try:
        await newest_stored("nobody", LATEST_US)
        monkeypatch.setattr(AsyncConnectionPool, "check_connection", staticmethod(check))
        proxy.pause()
        asking = asyncio.create_task(newest_stored("nobody", LATEST_US))
        await wait_until_async(is_asked, "the question whether the connection works")
        asking.cancel()
        await asyncio.wait([asking])
        await wait_until_async(is_over, "the end of what was given up")
    finally:
        proxy.resume()
        await pool.pool_close()
    assert checked[0].closed
    assert "closing returned connection" not in caplog.text
