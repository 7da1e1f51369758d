"""If ring, stream and database do not join, the server waits for the database and finally reports the gap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from telemetry.names import ring_key
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_create
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at, readings_each_second, store


@dataclass
class Cuttable:
    """A server that waits only briefly for TimescaleDB, and the proxy between it and Redis."""

    server: Process
    redis_proxy: TcpProxy


@pytest.fixture
def cuttable(stack: Stack, tmp_path: Path) -> Iterator[Cuttable]:
    proxy, url = stack.redis_proxy()
    env = {**stack.env, "REDIS_URL": url, "LIVE_REFILL_TIMEOUT_S": "2", "LIVE_JOIN_TIMEOUT_S": "2"}
    with server_process(env, tmp_path / "server.log") as server:
        yield Cuttable(server, proxy)


@pytest.fixture
def readings(device: str) -> list[Reading]:
    return readings_each_second(device, now_us() - 100 * SECOND_US, 40)


def lose_ring(stack: Stack, device_id: str) -> None:
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        client.delete(ring_key(device_id))


def times_of(readings: list[Reading]) -> list[int]:
    return [reading.us for reading in readings]


def test_a_refill_that_the_database_cannot_complete_reports_the_gap(
    cuttable: Cuttable, stack: Stack, alice: Person, device: str, readings: list[Reading]
) -> None:
    store(stack, readings[:10])
    publish(stack, readings[:10])
    with LiveSocket(cuttable.server.url, person=alice) as live:
        live.subscribe(device, since=iso_from_us(readings[0].us - SECOND_US))
        live.until_time(device, readings[9].us)
        cuttable.redis_proxy.cut()
        lose_ring(stack, device)
        store(stack, readings[10:15])
        publish(stack, readings[30:35])
        cuttable.redis_proxy.restore()
        gap = live.until_type("gap")
        assert (gap["from"], gap["to"]) == (iso_from_us(readings[9].us + 1), iso_from_us(readings[30].us - 1))
        live.until_time(device, readings[34].us)
        assert live.times(device) == times_of(readings[:10] + readings[30:35])


def test_a_join_that_the_database_cannot_complete_starts_with_the_stream(
    cuttable: Cuttable, stack: Stack, alice: Person, device: str, readings: list[Reading]
) -> None:
    store(stack, readings[:15])
    publish(stack, readings[30:35])
    with LiveSocket(cuttable.server.url, person=alice) as live:
        live.subscribe(device, since=iso_from_us(readings[5].us))
        told = live.until_type("subscribed")
        assert (told["recovered"], told["cursor"]) == (False, iso_from_us(readings[30].us - 1))
        live.until_time(device, readings[34].us)
        assert live.times(device) == times_of(readings[30:35])


def test_first_readings_of_a_device_during_a_redis_outage(
    cuttable: Cuttable, stack: Stack, alice: Person, device: str, readings: list[Reading]
) -> None:
    with LiveSocket(cuttable.server.url, person=alice) as live:
        live.subscribe(device)
        assert live.until_type("subscribed")["cursor"] is None
        cuttable.redis_proxy.cut()
        store(stack, readings[:5])
        publish(stack, readings[:5], ring=False)
        cuttable.redis_proxy.restore()
        live.until_time(device, readings[4].us)
        assert live.times(device) == times_of(readings[:5])


def test_a_repeated_old_reading_does_not_hide_that_the_database_lags(
    server: Process, stack: Stack, alice: Person, device: str, readings: list[Reading]
) -> None:
    store(stack, readings[:11])
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=iso_from_us(readings[10].us))
        live.until_type("subscribed")
        # 11 to 20 were published before, the ring is gone, and they are stored only later.
        publish(stack, [readings[5], readings[21]], ring=False)
        store(stack, readings[11:22])
        live.until_time(device, readings[21].us)
        assert live.times(device) == times_of(readings[11:22])


def store_many(stack: Stack, devices: list[str], first_us: int, count: int) -> list[int]:
    """Store `count` readings of each device, one per second. Returns their times (µs)."""
    for device_id in devices:
        store(stack, readings_each_second(device_id, first_us, count))
    return [first_us + index * SECOND_US for index in range(count)]


def test_long_backlogs_of_many_devices_need_no_long_queue(stack: Stack, alice: Person, tmp_path: Path) -> None:
    devices = [device_create(owner=alice) for _ in range(10)]
    times = store_many(stack, devices, now_us() - 4_000 * SECOND_US, 3_000)
    env = {**stack.env, "LIVE_QUEUE_MAX_BYTES": "200000"}
    with server_process(env, tmp_path / "server.log") as server, LiveSocket(server.url, person=alice) as live:
        live.subscribe(*devices, since=iso_from_us(times[0] - SECOND_US))
        for device_id in devices:
            live.until_time(device_id, times[-1])
            assert live.times(device_id) == times
        assert not [frame for frame in live.frames if frame["type"] == "gap"]


def test_after_a_long_outage_many_devices_are_refilled_without_a_gap(
    cuttable: Cuttable, stack: Stack, alice: Person
) -> None:
    devices = [device_create(owner=alice) for _ in range(10)]
    base = now_us() - 4_000 * SECOND_US
    with LiveSocket(cuttable.server.url, person=alice) as live:
        live.subscribe(*devices)
        for _ in devices:
            live.until_type("subscribed")
        publish(stack, [reading_at(device_id, base) for device_id in devices], ring=False)
        for device_id in devices:
            live.until_time(device_id, base)
        cuttable.redis_proxy.cut()
        times = store_many(stack, devices, base, 3_000)
        cuttable.redis_proxy.restore()
        publish(stack, [reading_at(device_id, times[-1]) for device_id in devices], ring=False)
        for device_id in devices:
            live.until_time(device_id, times[-1])
            assert live.times(device_id) == times
        assert not [frame for frame in live.frames if frame["type"] == "gap"]
