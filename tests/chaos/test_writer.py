"""The writer stalls, sends bursts, is killed and restarted, and receives readings out of order."""

from __future__ import annotations

import asyncio
import signal

import pytest

from testing.waiting import wait_until_async
from tests.chaos.drama import Drama

pytestmark = pytest.mark.processes


async def test_the_writer_stalls_and_receives_bursts(act: Drama) -> None:
    for _ in range(3):
        await act.load.stall()
        act.site.writer.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        act.site.writer.send_signal(signal.SIGCONT)
        for device_id in act.devices:
            await act.load.burst(device_id, act.chance.randint(100, 900))
        act.load.go_on()
        await act.flow(3)
    await act.settle()


async def test_the_redis_connections_of_the_writer_break(act: Drama) -> None:
    for _ in range(3):
        act.site.writer_redis_proxy.cut()
        await act.flow(3)
        act.site.front.kill_connections()
        await act.flow(3)
        act.site.writer_redis_proxy.restore()
        await act.flow(3)
    await act.settle(nothing_missing=False)


async def test_the_writer_is_killed_between_storing_and_publishing(act: Drama) -> None:
    act.site.writer_redis_proxy.pause()
    await act.flow(5)
    await act.load.stall()
    await act.all_stored()
    await asyncio.to_thread(act.site.writer.stop, signal.SIGKILL)
    act.site.writer_redis_proxy.resume()
    await asyncio.to_thread(act.site.writer.start)
    act.load.go_on()
    await act.flow()
    await act.settle()


async def test_readings_dropped_from_the_full_publish_queue_reach_all_clients(act: Drama) -> None:
    act.site.writer_redis_proxy.cut()
    for _ in range(6):
        await act.load.burst(act.devices[0], 2_000)
    await act.all_stored()
    act.site.writer_redis_proxy.restore()
    await act.flow()
    await act.settle(nothing_missing=False)


async def test_readings_with_equal_times_are_delivered_once(act: Drama) -> None:
    for _ in range(5):
        for device_id in act.devices:
            await act.load.again(device_id)
        await act.flow(2)
    await act.settle()


async def test_readings_out_of_order_are_reported_as_missing(act: Drama) -> None:
    for _ in range(5):
        await act.load.late(act.devices[0])
        await act.flow(2)
    await act.settle(nothing_missing=False)


async def test_readings_out_of_order_while_redis_connections_break(act: Drama) -> None:
    """No frame reports a late reading that arrives while the connection is lost (docs/live.md): wait for each one."""
    device_id, watcher = act.devices[0], act.watchers[0]

    async def is_given() -> bool:
        return newest in watcher.given[device_id]

    for _ in range(3):
        await act.load.late(device_id)
        await act.flow(2)
        newest = act.load.sent[device_id][-1]
        await wait_until_async(is_given, "all sent readings received")
        act.site.server_redis_proxy.kill_connections()
        await act.flow(3)
        newest = act.load.sent[device_id][-1]
        await wait_until_async(is_given, "connected again")
    await act.settle(nothing_missing=False)
