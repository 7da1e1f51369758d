"""Requests on a live socket, and the responses."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from core.catalogue import CATALOGUE
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_create
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at, readings_each_second


def test_a_reading_arrives_as_it_was_published(server: Process, stack: Stack, alice: Person, device: str) -> None:
    reading = reading_at(device, now_us(), 7.0)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        publish(stack, [reading])
        assert live.until_type("reading") == {
            "type": "reading",
            "device_id": device,
            "time": iso_from_us(reading.us),
            "values": dict(zip(CATALOGUE.names, reading.values, strict=True)),
        }


def test_the_backlog_comes_before_any_newer_reading(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 20)
    publish(stack, readings[:10])
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=iso_from_us(readings[3].us))
        assert live.until_type("subscribed")["cursor"] == iso_from_us(readings[3].us)
        backlog = live.next()
        assert backlog["type"] == "backlog"
        assert backlog["columns"] == ["time", *CATALOGUE.names]
        assert backlog["rows"] == [[iso_from_us(reading.us), *reading.values] for reading in readings[4:10]]
        publish(stack, readings[10:])
        live.until_time(device, readings[-1].us)
        assert live.times(device) == [reading.us for reading in readings[4:]]


def test_without_since_only_new_readings_are_sent(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 4)
    publish(stack, readings[:2])
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device)
        assert live.until_type("subscribed")["cursor"] == iso_from_us(readings[1].us)
        publish(stack, readings[1:])
        live.until_time(device, readings[-1].us)
        assert live.times(device) == [reading.us for reading in readings[2:]]


def test_many_devices_with_a_cursor_each(server: Process, stack: Stack, alice: Person) -> None:
    first, second = device_create(owner=alice), device_create(owner=alice)
    base = now_us() - 60 * SECOND_US
    publish(stack, readings_each_second(first, base, 5) + readings_each_second(second, base, 5))
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(first, second, since={first: iso_from_us(base + 3 * SECOND_US), second: iso_from_us(base)})
        live.until_time(first, base + 4 * SECOND_US)
        live.until_time(second, base + 4 * SECOND_US)
        assert len(live.times(first)) == 1
        assert len(live.times(second)) == 4


def test_metrics_filters_readings_and_backlog(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 3)
    publish(stack, readings[:2])
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=iso_from_us(readings[0].us), metrics=["grid_power", "battery_soc"])
        assert live.until_type("backlog")["columns"] == ["time", "battery_soc", "grid_power"]
        publish(stack, readings[2:])
        assert set(live.until_type("reading")["values"]) == {"battery_soc", "grid_power"}


def test_interval_keeps_the_newest(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 30)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, interval_ms=500)
        live.until_type("subscribed")
        publish(stack, readings)
        live.until_time(device, readings[-1].us)
        given = live.times(device)
        assert given == sorted(given)
        assert given[0] == readings[0].us
        assert len(given) < len(readings)


def test_after_unsubscribe_no_reading_is_sent(server: Process, stack: Stack, alice: Person, device: str) -> None:
    other = device_create(owner=alice)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, other)
        live.until(lambda frame: frame.get("device_id") == other and frame["type"] == "subscribed")
        live.send(type="unsubscribe", id=9, devices=[device])
        assert live.until_type("unsubscribed") == {"type": "unsubscribed", "id": 9, "device_id": device}
        publish(stack, [reading_at(device, now_us()), reading_at(other, now_us())])
        live.until_type("reading")
        assert live.times(device) == []


def test_ping_is_answered(server: Process, alice: Person) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send(type="ping", id=3)
        assert live.until_type("pong") == {"type": "pong", "id": 3}


def test_a_foreign_device_is_refused_and_the_socket_stays_open(server: Process, charlie: Person, device: str) -> None:
    mine = device_create(owner=charlie)
    with LiveSocket(server.url, person=charlie) as live:
        live.subscribe(device, "unknown", mine, request_id=5)
        error = live.until_type("error")
        assert (error["id"], error["code"], error["devices"]) == (5, "forbidden", [device, "unknown"])
        assert live.until_type("subscribed")["device_id"] == mine


@pytest.mark.parametrize(
    "request_",
    [
        {"type": "subscribe", "id": 1},
        {"type": "subscribe", "id": 1, "devices": []},
        {"type": "subscribe", "id": 1, "devices": "ems_001"},
        {"type": "subscribe", "id": 1, "devices": [1]},
        {"type": "subscribe", "id": 1, "devices": ["x" * 65]},
        {"type": "subscribe", "id": 1, "devices": ["not an id"]},
        {"type": "subscribe", "id": 1, "devices": ["a"], "since": "0001-01-01T00:00:00+23:59"},
        {"type": "subscribe", "id": 1, "devices": ["a"], "since": "T" * 40_000},
        {"type": "subscribe", "id": 1, "devices": ["a"], "since": {"a": [[[[]]]]}},
        {"type": "subscribe", "id": 1, "devices": ["a"], "since": "yesterday"},
        {"type": "subscribe", "id": 1, "devices": ["a"], "since": 5},
        {"type": "subscribe", "id": 1, "devices": ["a"], "metrics": ["nonsense"]},
        {"type": "subscribe", "id": 1, "devices": ["a"], "metrics": [{}]},
        {"type": "subscribe", "id": 1, "devices": ["a"], "interval_ms": -1},
        {"type": "subscribe", "id": 1, "devices": ["a"], "interval_ms": "fast"},
        {"type": "unsubscribe", "id": 1},
        {"type": "nonsense", "id": 1},
    ],
)
def test_a_request_that_cannot_be_executed_gets_an_error(
    server: Process, alice: Person, request_: dict[str, object]
) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send(**request_)
        frame = live.until_type("error")
        assert (frame["id"], frame["code"]) == (1, "bad_request")
        assert len(frame["message"]) < 300, "the input is not repeated"
        live.send(type="ping", id=2)
        assert live.until_type("pong")["id"] == 2


@pytest.mark.parametrize("request_id", [7, 1.5, "x" * 64, "", None])
def test_an_id_is_a_number_or_a_short_text(server: Process, alice: Person, request_id: object) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send(type="ping", id=request_id)
        assert live.until_type("pong") == {"type": "pong", "id": request_id}


@pytest.mark.parametrize("request_id", ["x" * 65, "x" * 60_000, True, [1], {"id": 1}])
def test_any_other_id_is_refused_and_not_repeated(server: Process, alice: Person, request_id: object) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send(type="subscribe", id=request_id, devices=[f"device_{number}" for number in range(200)])
        error = live.until_type("error")
        assert (error["id"], error["code"]) == (None, "bad_request")
        assert error["message"] == "id: accepted is a number or at most 64 characters"
        live.send(type="ping", id="next")
        live.until_type("pong")
        assert len(live.frames) == 3


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_too_many_devices_per_socket_are_refused(server: Process, alice: Person, kind: str) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send(type=kind, id=1, devices=[f"device_{number}" for number in range(201)])
        assert live.until_type("error")["code"] == "too_many"


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "5", "{}", '{"type": 5}', b"\x00\x01"])
def test_an_invalid_frame_closes_the_socket(server: Process, alice: Person, text: str | bytes) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send_text(text)
        assert live.close_code() == 4400


def test_a_late_reading_is_reported_as_a_gap(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 5)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        publish(stack, [readings[0], readings[2], readings[1], readings[2], readings[3]])
        gap = live.until_type("gap")
        assert gap["from"] == gap["to"] == iso_from_us(readings[1].us)
        live.until_time(device, readings[3].us)
        assert live.times(device) == [readings[index].us for index in (0, 2, 3)]
        assert sum(frame["type"] == "gap" for frame in live.frames) == 1


def test_a_late_reading_during_a_disconnect_is_reported(
    server: Process, stack: Stack, alice: Person, device: str
) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 6)
    publish(stack, [readings[0], readings[2], readings[3]])
    cursor = iso_from_us(readings[3].us)
    publish(stack, [readings[1], readings[0], readings[4]])  # the first was sent before: only the second is late
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device, since=cursor)
        live.until_time(device, readings[4].us)
        gaps = [frame for frame in live.frames if frame["type"] == "gap"]
        assert [(gap["from"], gap["to"]) for gap in gaps] == [(iso_from_us(readings[1].us),) * 2]


def test_frames_above_the_rate_are_refused_and_far_above_it_the_socket_is_closed(
    stack: Stack, tmp_path: Path, alice: Person
) -> None:
    env = {**stack.env, "LIVE_FRAMES_PER_SECOND": "5"}
    with server_process(env, tmp_path / "server.log") as server, LiveSocket(server.url, person=alice) as live:
        for number in range(8):
            live.send(type="ping", id=number)
        refused = live.until_type("error")
        assert refused["code"] == "too_many"
        assert refused["message"].startswith("frames: at most 5 ")
        assert isinstance(refused["id"], int)
        with suppress(ConnectionClosed):
            for number in range(100):
                live.send(type="ping", id=number)
        assert live.close_code() == 4429


def test_a_frame_that_is_too_long_closes_the_socket(server: Process, alice: Person) -> None:
    with LiveSocket(server.url, person=alice) as live:
        live.send_text('{"type": "ping", "id": "' + "x" * 70_000 + '"}')
        assert live.close_code() == 1009


def test_a_repeated_subscription_begins_once(server: Process, stack: Stack, alice: Person) -> None:
    """Redis confirms the first subscription after the second request: the confirmation does not belong to the second.

    The readings are not stored, so a stream that is considered broken would wait for the store.
    """
    devices = [device_create(owner=alice) for _ in range(40)]
    with LiveSocket(server.url, person=alice) as live:
        for request_id in range(1, 6):
            live.subscribe("ems_of_nobody", *devices, request_id=request_id)
            live.until_type("error")  # meanwhile the other devices are being subscribed to
        for _ in devices:
            live.until(lambda frame: frame["type"] == "subscribed" and frame["id"] == 5)
        readings = [readings_each_second(device, now_us(), 1)[0] for device in devices]
        publish(stack, readings)
        for reading in readings:
            live.until_time(reading.device_id, reading.us)
