"""The same application on daphne, which sends no lifespan: history, static files, live."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from telemetry.times import SECOND_US, us_from_iso
from testing.cast import Person, device_create
from testing.event_stream import EventStreamClient
from testing.flood import flood
from testing.process import Process
from testing.servers import daphne_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.stalled import StalledSocket, resident_bytes
from testing.telemetry import now_us, publish, readings_each_second, store
from testing.waiting import wait_until

MEMORY_BOUND_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def daphne(stack: Stack, logs: Path) -> Iterator[Process]:
    with daphne_process(stack.env, logs / "daphne.log") as process:
        yield process


def test_history_continues_with_live_readings(daphne: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 60)
    store(stack, readings[:20])
    publish(stack, readings[:30])
    headers = {"Authorization": f"Bearer {alice.token}"}
    answer = httpx.get(f"{daphne.url}/api/history/{device}?range=10m", headers=headers).json()
    with LiveSocket(daphne.url, person=alice) as live:
        live.subscribe(device, since=answer["cursor"])
        live.until_type("subscribed")
        publish(stack, readings[30:])
        live.until_time(device, readings[-1].us)
        assert [ms * 1000 for ms in answer["time"]] + live.times(device) == [reading.us for reading in readings]


def test_a_stranger_is_refused(daphne: Process, charlie: Person, device: str) -> None:
    headers = {"Authorization": f"Bearer {charlie.token}"}
    assert httpx.get(f"{daphne.url}/api/history/{device}", headers=headers).status_code == 403
    with LiveSocket(daphne.url, person=charlie, path=f"/ws/live/{device}") as live:
        assert live.close_code() == 4403


def test_static_files_are_served(daphne: Process) -> None:
    answer = httpx.get(f"{daphne.url}/static/vendor/uplot/uPlot.esm.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]


def test_a_stalled_reader_uses_bounded_memory_and_is_disconnected(
    daphne: Process, stack: Stack, alice: Person, device: str
) -> None:
    """Without our pacing, daphne buffers everything that the client does not read."""
    flooded = device_create(owner=alice)
    memory = resident_bytes(daphne)
    stalled = [StalledSocket(daphne, alice, [flooded]) for _ in range(5)]
    try:
        with LiveSocket(daphne.url, person=alice) as live:
            live.subscribe(device)
            live.until_type("subscribed")

            def are_given_up() -> bool:
                flood(stack.env, flooded)
                return all(each.is_given_up for each in stalled)

            wait_until(are_given_up, "the stalled sockets are gone", deadline_s=60)
            assert resident_bytes(daphne) - memory < MEMORY_BOUND_BYTES
            readings = readings_each_second(device, now_us(), 5)
            publish(stack, readings)
            live.until_time(device, readings[-1].us)
            assert live.times(device) == [reading.us for reading in readings]
    finally:
        for each in stalled:
            each.close()


def test_readings_dropped_for_a_slow_reader_are_reported_in_gaps(
    daphne: Process, stack: Stack, alice: Person, device: str
) -> None:
    with LiveSocket(daphne.url, person=alice) as slow:
        slow.subscribe(device)
        slow.until_type("subscribed")
        published = [us for _ in range(4) for us in flood(stack.env, device)]
        slow.until_time(device, published[-1])
        named = [(us_from_iso(f["from"]), us_from_iso(f["to"])) for f in slow.frames if f["type"] == "gap"]
        given = set(slow.times(device))
        assert slow.times(device) == sorted(given)
        assert all(us in given or any(first <= us <= last for first, last in named) for us in published)


def test_a_frame_that_is_too_long_closes_the_socket(daphne: Process, alice: Person) -> None:
    with LiveSocket(daphne.url, person=alice) as live:
        live.next()
        live.send_text('{"type": "ping", "id": "' + "x" * 70_000 + '"}')
        assert live.close_code() == 1009


def test_events_are_streamed(daphne: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us(), 5)
    with EventStreamClient(daphne.url, alice, devices=device) as stream:
        stream.until_type("subscribed")
        publish(stack, readings)
        stream.until_time(device, readings[-1].us)
        assert stream.times(device) == [reading.us for reading in readings]


def test_sigterm_closes_sockets_with_1012(stack: Stack, tmp_path: Path, alice: Person, device: str) -> None:
    with daphne_process(stack.env, tmp_path / "daphne.log") as daphne, LiveSocket(daphne.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        daphne.send_signal(signal.SIGTERM)
        assert live.close_code() == 1012
