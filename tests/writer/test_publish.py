"""Rings and live channels: in order and without undetected gaps, through all failures of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
import redis

from telemetry.names import live_channel, ring_key
from telemetry.reading import reading_decode
from telemetry.times import SECOND_US, us_from_iso
from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import CATALOGUE, Device, device_new, metric, reading, recent_us


class Listener:
    """Receives one device's live channel."""

    def __init__(self, pubsub: Any) -> None:
        self._pubsub = pubsub
        self.payloads: list[bytes] = []

    def until(self, count: int) -> list[int]:
        """Return the times (µs) of the first `count` readings in order of arrival."""

        def heard_enough() -> bool:
            while message := self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0.05):
                self.payloads.append(message["data"])
            return len(self.payloads) >= count

        wait_until(heard_enough, f"{count} readings published")
        return [us_from_iso(orjson.loads(payload)["time"]) for payload in self.payloads]


@contextmanager
def listening(stack: Stack, device: Device) -> Iterator[Listener]:
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client, client.pubsub() as pubsub:
        pubsub.subscribe(live_channel(device.device_id))
        wait_until(lambda: pubsub.get_message(timeout=0.2), "subscribed")
        yield Listener(pubsub)


def wait_published(writer: Process, count: int) -> None:
    """Wait until the writer knows that readings are published; otherwise it repeats them after a failure."""
    wait_until(lambda: metric(writer, "published_total") == count, f"{count} readings known to be published")


def seconds(first_us: int, *offsets: int) -> list[int]:
    return [first_us + offset * SECOND_US for offset in offsets]


def test_publishes_the_flat_json_with_every_metric(stack: Stack, device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with listening(stack, device) as listener:
        device.send(us, battery_soc=50.5)
        listener.until(1)
    flat = orjson.loads(listener.payloads[0])
    assert list(flat) == ["device_id", "time", *CATALOGUE.names]
    assert (flat["device_id"], flat["battery_soc"], flat["grid_power"]) == (device.device_id, 50.5, None)
    assert reading_decode(listener.payloads[0], CATALOGUE).us == us


def test_ring_and_channel_carry_the_same_in_order(stack: Stack, device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with listening(stack, device) as listener:
        device.send(us, 50)
        device.send(us + 50 * SECOND_US, 50)
        assert listener.until(100) == seconds(us, *range(100)) == device.ring()


def test_an_unordered_list_is_published_oldest_first(stack: Stack, device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with listening(stack, device) as listener:
        device.post(
            [{"device_id": device.device_id, "time": at // 1000, "load_power": 1} for at in seconds(us, 2, 0, 1)]
        )
        assert listener.until(3) == seconds(us, 0, 1, 2)


def test_the_ring_keeps_about_600(device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    device.send(us, 3000)
    last = us + 2999 * SECOND_US
    ring = wait_until(lambda: (found := device.ring())[-1:] == [last] and found, "all added")
    assert ring
    assert 600 <= len(ring) < 1000
    assert ring == seconds(us, *range(3000 - len(ring), 3000))


def test_a_ring_of_an_earlier_process_is_emptied(stack: Stack, start_writer: StartWriter, redis_client: Any) -> None:
    device, us = device_new(stack, start_writer()), recent_us()
    earlier = reading(device.device_id, us - 5 * SECOND_US)
    redis_client.xadd(ring_key(device.device_id), {"reading": orjson.dumps(earlier)})
    device.send(us)
    wait_until(lambda: device.ring() == [us], "the ring anew")


def test_a_late_reading_is_published_and_empties_the_ring(stack: Stack, device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with listening(stack, device) as listener:
        device.send(us, 10)
        listener.until(10)
        device.send(us - SECOND_US)
        assert listener.until(11)[-1] == us - SECOND_US
        assert device.ring() == []
        device.send(us + 10 * SECOND_US, 2)
        listener.until(13)
        assert device.ring() == seconds(us, 10, 11)


@pytest.mark.parametrize("offset", [0, -1, -5])
def test_a_correction_is_not_published_and_the_ring_stays(stack: Stack, device_of_writer: Device, offset: int) -> None:
    device, us = device_of_writer, recent_us()
    with listening(stack, device) as listener:
        device.send(us, 10, load_power=1.0)
        listener.until(10)
        device.send(us + (9 + offset) * SECOND_US, load_power=2.0)
        device.send(us + 10 * SECOND_US)
        assert listener.until(11) == seconds(us, *range(11))
    assert device.ring() == seconds(us, *range(11))


def test_values_of_one_time_in_one_list_are_published_together(stack: Stack, device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    parts: list[dict[str, float]] = [{"solar_power": 1.0}, {"grid_power": 2.0}]
    with listening(stack, device) as listener:
        device.post([reading(device.device_id, us, **values) for values in parts])
        device.send(us + SECOND_US)
        assert listener.until(2) == seconds(us, 0, 1)
    flat = orjson.loads(listener.payloads[0])
    assert (flat["solar_power"], flat["grid_power"]) == (1.0, 2.0)


def test_a_late_reading_sent_twice_is_published_once(stack: Stack, device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with listening(stack, device) as listener:
        device.send(us, 5)
        listener.until(5)
        for _ in range(2):
            device.send(us - SECOND_US)
        device.send(us + 5 * SECOND_US)
        assert listener.until(7)[5:] == seconds(us, -1, 5)
    assert device.ring() == seconds(us, 5)


def test_readings_are_stored_during_a_redis_outage_and_then_published(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url)
    device, us = device_new(stack, writer), recent_us()
    with listening(stack, device) as listener:
        device.send(us, 3)
        wait_published(writer, 3)
        wait_until(lambda: len(device.stored()) == 3, "stored, and so not published again")
        proxy.cut()
        device.send(us + 3 * SECOND_US, 2)
        device.send(us + 5 * SECOND_US, 2)
        wait_until(lambda: len(device.stored()) == 7, "all stored")
        wait_until(lambda: metric(writer, "publish_errors_total") >= 1, "publishing failed")
        proxy.restore()
        assert listener.until(7) == seconds(us, *range(7))
    assert device.ring() == seconds(us, 3, 4, 5, 6)
    assert metric(writer, "ring_resets_total") == 2


@pytest.mark.parametrize("options", ["", "?protocol=2"])
def test_readings_not_yet_stored_are_republished_after_a_lost_connection(
    stack: Stack, start_writer: StartWriter, options: str
) -> None:
    """Either a command fails or, with protocol 2, redis-py silently replaces the connection."""
    database, database_url = stack.telemetry_proxy(admin=True)
    database.cut()
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url + options, TELEMETRY_ADMIN_URL=database_url)
    device, us = device_new(stack, writer), recent_us()
    with listening(stack, device) as listener:
        device.send(us, 2)
        wait_published(writer, 2)
        proxy.kill_connections()
        device.send(us + 2 * SECOND_US)
        wait_until(lambda: device.ring() == seconds(us, 0, 1, 2), "a ring without a hole")
        wait_until(lambda: metric(writer, "to_publish_readings") == 0, "everything published")
        heard = listener.until(5)
    assert heard[:2] == seconds(us, 0, 1)
    assert heard[-3:] == seconds(us, 0, 1, 2)
    database.restore()
    wait_until(lambda: len(device.stored()) == 3, "everything stored")


def test_an_error_of_a_ring_does_not_stop_the_stream(
    stack: Stack, start_writer: StartWriter, redis_client: Any
) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    with listening(stack, device) as listener:
        device.send(us)
        wait_published(writer, 1)
        redis_client.set(ring_key(device.device_id), "not a stream")
        device.send(us + SECOND_US)
        assert listener.until(2) == seconds(us, 0, 1)
        device.send(us + 2 * SECOND_US)
        listener.until(3)
    assert device.ring() == seconds(us, 2)
    assert metric(writer, "ring_errors_total") == 1


def test_a_full_queue_drops_the_oldest_and_the_ring_shows_it(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url, WRITER_PUBLISH_MAX_READINGS="10000")
    device, us = device_new(stack, writer), recent_us(20_000)
    proxy.cut()
    device.send(us, 10_000)
    wait_until(lambda: metric(writer, "queued_readings") == 0, "all stored")
    device.send(us + 10_000 * SECOND_US, 100)
    wait_until(lambda: metric(writer, "not_published_total") == 100, "the oldest dropped")
    with listening(stack, device) as listener:
        proxy.restore()
        assert listener.until(10_000) == seconds(us, *range(100, 10_100))
    ring = device.ring()
    assert ring == seconds(us, *range(10_100 - len(ring), 10_100))


def test_publishing_continues_after_a_dead_connection(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url)
    device, us = device_new(stack, writer), recent_us()
    with listening(stack, device) as listener:
        device.send(us)
        wait_published(writer, 1)
        wait_until(lambda: len(device.stored()) == 1, "stored, and so not published again")
        proxy.pause()
        device.send(us + SECOND_US)
        wait_until(lambda: metric(writer, "publish_errors_total") >= 1, "the attempt given up")
        proxy.resume()
        assert listener.until(2)[-1] == us + SECOND_US


def test_devices_do_not_affect_each_other(stack: Stack, writer: Process) -> None:
    us = recent_us()
    devices = [device_new(stack, writer) for _ in range(5)]
    for offset in range(10):
        for device in devices:
            device.send(us + offset * SECOND_US)
    for device in devices:
        wait_until(lambda device=device: device.ring() == seconds(us, *range(10)), "a whole ring")  # type: ignore[misc]
