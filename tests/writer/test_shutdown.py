"""SIGTERM: accepted readings are stored, or the log states the number of lost ones."""

from __future__ import annotations

from testing.stack import Stack
from tests.writer.conftest import StartWriter
from tests.writer.support import device_new, recent_us


def test_queued_readings_are_stored_and_published(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer(WRITER_FLUSH_MS="60000")
    device = device_new(stack, writer)
    device.send(recent_us(), 300)
    assert writer.stop() == 0
    assert len(device.stored()) == 300
    assert len(device.ring()) == 300


def test_the_log_states_the_number_of_lost_readings(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    proxy.cut()
    writer = start_writer(TELEMETRY_ADMIN_URL=url, WRITER_GRACE_S="1")
    device_new(stack, writer).send(recent_us(), 300)
    assert writer.stop() == 0
    assert "300 readings were not stored" in writer.log.read_text()


def test_the_writer_ends_without_redis(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url)
    proxy.cut()
    device = device_new(stack, writer)
    device.send(recent_us(), 300)
    assert writer.stop() == 0
    assert len(device.stored()) == 300
