"""History and live join without a lost or duplicate reading."""

from __future__ import annotations

from datetime import datetime

from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from testing.cast import Person
from testing.process import Process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store


def history_of(person: Person, device_id: str, **parameters: str) -> tuple[list[int], str | None]:
    """The times (µs) of the raw readings of the last ten minutes, and the cursor."""
    answer = person.http.get(f"/api/history/{device_id}", params={"range": "10m", "resolution": "raw", **parameters})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [ms * 1000 for ms in body["time"]], body["cursor"]


def test_history_then_subscribe_delivers_every_reading_once(
    server: Process, stack: Stack, alice: Person, device: str
) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 90)
    store(stack, readings[:40])
    publish(stack, readings[:50])  # the stream is ten readings ahead of the store
    known, cursor = history_of(alice, device)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=cursor)
        live.until_type("subscribed")
        publish(stack, readings[50:])
        live.until_time(device, readings[-1].us)
        assert known + live.times(device) == [reading.us for reading in readings]


def test_a_foreign_writer_without_a_ring_is_refilled_from_the_database(
    server: Process, stack: Stack, alice: Person, device: str
) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 60)
    store(stack, readings[:20])
    known, cursor = history_of(alice, device)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=cursor)
        live.until_type("subscribed")
        # 20 to 29 were published before the subscription and are stored only now; then the stream goes on.
        publish(stack, readings[30:31], ring=False)
        store(stack, readings[20:31])
        publish(stack, readings[31:], ring=False)
        live.until_time(device, readings[-1].us)
        assert known + live.times(device) == [reading.us for reading in readings]


def test_more_than_can_be_replayed_is_reported(server: Process, stack: Stack, alice: Person, device: str) -> None:
    first = us_from_datetime(datetime.fromisoformat("2026-01-01T00:00:00Z"))
    store(stack, readings_each_second(device, first, 10_002))
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=iso_from_us(first))
        frame = live.until_type("subscribed")
        assert frame["recovered"] is False
        assert frame["cursor"] == iso_from_us(first + 10_001 * SECOND_US)
