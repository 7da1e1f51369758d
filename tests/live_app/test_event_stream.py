"""The live stream as Server-Sent Events."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import httpx
import pytest

from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_create, device_share
from testing.event_stream import EventStreamClient
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store


def test_history_continues_with_streamed_readings(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 60)
    store(stack, readings[:20])
    publish(stack, readings[:30])
    answer = alice.http.get(f"/api/history/{device}?range=10m").json()
    with EventStreamClient(server.url, alice, devices=device, since=answer["cursor"]) as stream:
        assert stream.answer.headers["content-type"] == "text/event-stream"
        stream.until_type("subscribed")
        publish(stack, readings[30:])
        stream.until_time(device, readings[-1].us)
        assert [ms * 1000 for ms in answer["time"]] + stream.times(device) == [reading.us for reading in readings]


def test_a_reconnecting_browser_continues_after_its_last_event(server: Process, stack: Stack, alice: Person) -> None:
    devices = [device_create(owner=alice) for _ in range(3)]
    base = now_us() - 100 * SECOND_US
    series = [readings_each_second(device, base + index, 30) for index, device in enumerate(devices)]
    wanted = {"devices": ",".join(devices)}
    publish(stack, series[0][:5] + series[1][:3])  # the third has never reported
    with EventStreamClient(server.url, alice, **wanted) as first:
        for _ in devices:
            first.until_type("subscribed")
        publish(stack, series[0][5:10] + series[1][3:5])
        first.until_time(devices[0], series[0][9].us)
        first.until_time(devices[1], series[1][4].us)
        last_id = first.last_id
    publish(stack, series[0][10:20] + series[1][5:10] + series[2][:4])
    with EventStreamClient(server.url, alice, last_event_id=last_id, **wanted) as again:
        for _ in devices:
            again.until_type("subscribed")
        publish(stack, series[2][4:6])
        again.until_time(devices[0], series[0][19].us)
        again.until_time(devices[1], series[1][9].us)
        again.until_time(devices[2], series[2][5].us)
        assert again.times(devices[0]) == [reading.us for reading in series[0][10:20]]
        assert again.times(devices[1]) == [reading.us for reading in series[1][5:10]]


def test_the_time_of_a_reading_is_a_cursor_here_too(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 10)
    publish(stack, readings)
    with EventStreamClient(server.url, alice, devices=device, last_event_id=iso_from_us(readings[3].us)) as stream:
        stream.until_time(device, readings[-1].us)
        assert stream.times(device) == [reading.us for reading in readings[4:]]


def test_metrics_can_be_chosen(server: Process, stack: Stack, alice: Person, device: str) -> None:
    with EventStreamClient(server.url, alice, devices=device, metrics="grid_power,battery_soc") as stream:
        stream.until_type("subscribed")
        publish(stack, readings_each_second(device, now_us(), 1))
        assert stream.until_type("reading")["values"].keys() == {"grid_power", "battery_soc"}


@pytest.mark.parametrize(
    ("parameters", "status", "named"),
    [
        ({}, 400, "devices"),
        ({"devices": "{device}", "since": "yesterday"}, 400, "since"),
        ({"devices": "{device}", "metrics": "nonsense"}, 400, "metrics"),
        ({"devices": "{device}", "interval_ms": "-1"}, 400, "interval_ms"),
        ({"devices": "{device}", "interval_ms": "9" * 30}, 400, "interval_ms"),
        ({"devices": "{device}", "device": "x"}, 400, "device"),
        ({"devices": ",".join(f"d{number}" for number in range(201))}, 413, "devices"),
        ({"devices": "{device},not_mine"}, 403, ""),
    ],
)
def test_errors_name_the_parameter(
    alice: Person, device: str, parameters: dict[str, str], status: int, named: str
) -> None:
    sent = {name: value.replace("{device}", device) for name, value in parameters.items()}
    answer = alice.http.get("/api/stream", params=sent)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(named)


@pytest.mark.parametrize("last_event_id", ["nonsense", "1.2", "9" * 40, "-5"])
def test_a_foreign_last_event_id_is_refused(alice: Person, device: str, last_event_id: str) -> None:
    answer = alice.http.get(f"/api/stream?devices={device}", headers={"Last-Event-ID": last_event_id})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Last-Event-ID")


def test_without_credentials_the_stream_is_refused(server: Process, device: str) -> None:
    assert httpx.get(f"{server.url}/api/stream?devices={device}").status_code == 401


def test_a_removed_share_ends_the_stream(server: Process, alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    with EventStreamClient(server.url, bob, devices=device) as stream:
        stream.until_type("subscribed")
        assert alice.http.delete(f"/api/devices/{device}/shares/{bob.username}").status_code == 204
        assert stream.rest()[-1] == {"type": "revoked", "device_id": device}
    assert bob.http.get(f"/api/stream?devices={device}").status_code == 403


def test_logout_ends_the_stream(server: Process, alice: Person, device: str) -> None:
    with EventStreamClient(server.url, alice, devices=device) as stream:
        stream.until_type("subscribed")
        assert alice.http.post("/api/auth/logout").status_code == 204
        assert stream.rest() == []


def test_streams_and_sockets_of_one_user_are_counted_together(
    stack: Stack, tmp_path: Path, alice: Person, device: str
) -> None:
    env = {**stack.env, "LIVE_SOCKETS_PER_USER": "2"}
    with server_process(env, tmp_path / "server.log") as server, LiveSocket(server.url, person=alice) as live:
        live.next()
        with EventStreamClient(server.url, alice, devices=device) as stream:
            stream.until_type("welcome")
            headers = {"Authorization": f"Bearer {alice.token}"}
            answer = httpx.get(f"{server.url}/api/stream?devices={device}", headers=headers)
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
            with LiveSocket(server.url, person=alice) as third:
                assert third.close_code() == 4429


def test_sigterm_ends_the_stream_after_queued_events(stack: Stack, tmp_path: Path, alice: Person, device: str) -> None:
    """The stream ends well within the grace period; without an explicit end it would last longer."""
    readings = readings_each_second(device, now_us() - 60 * SECOND_US, 20)
    env = {**stack.env, "SHUTDOWN_GRACE_S": "600"}
    with (
        server_process(env, tmp_path / "server.log") as server,
        EventStreamClient(server.url, alice, devices=device) as stream,
    ):
        stream.until_type("subscribed")
        publish(stack, readings)
        stream.until_time(device, readings[5].us)
        stopping = threading.Thread(target=server.stop, args=[signal.SIGTERM])
        stopping.start()
        stream.rest()
        stopping.join()
        assert stream.times(device) == [reading.us for reading in readings]
