"""TimescaleDB fails: live delivery continues, and clients that connect meanwhile miss and repeat nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.drama import Drama
from tests.chaos.services import TIMESCALE

pytestmark = pytest.mark.processes


async def test_timescale_is_killed_and_restarted(act: Drama) -> None:
    act.site.services.kill(TIMESCALE)
    await act.flow(5)
    await asyncio.to_thread(act.site.services.start)
    await act.flow()
    await act.settle()


async def test_timescale_is_killed_while_clients_reconnect(act: Drama) -> None:
    act.site.services.kill(TIMESCALE)
    await act.flow(3)
    act.site.front.kill_connections()
    await act.flow(3)
    await asyncio.to_thread(act.site.services.start)
    await act.flow()
    await act.settle()


async def test_the_store_lags_while_redis_connections_are_killed(act: Drama) -> None:
    act.site.store_proxy.pause()
    await act.flow(5)
    act.site.server_redis_proxy.kill_connections()
    await act.flow(5)
    act.site.writer_redis_proxy.kill_connections()
    await act.flow(5)
    act.site.front.kill_connections()
    await act.flow(5)
    act.site.store_proxy.resume()
    await act.flow()
    await act.settle()
