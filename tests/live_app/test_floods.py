"""A client that sends without reading costs the server little memory and does not affect other users."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.cast import Person
from testing.hostile import PING, HostileSocket, wire
from testing.process import Process
from testing.servers import daphne_process, server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.stalled import resident_bytes
from testing.waiting import wait_until

MB = 1024 * 1024
FLOOD_BYTES = 64 * MB
GROWTH_BYTES = 30 * MB
PATIENCE_S = 3.0
SMALL_BUFFER = 4096
SOCKETS = 4


@pytest.fixture(scope="module")
def server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server that does not limit frames per second, so that only the memory bounds are at work."""
    env = {**stack.env, "LIVE_FRAMES_PER_SECOND": "100000000"}
    with server_process(env, logs / "floods.log") as process:
        yield process


def flooding(server: Process, token: str, chunk: bytes) -> list[tuple[int, bool]]:
    """Several sockets, one after the other, all kept open until the last has sent."""
    sockets = [HostileSocket(server.url, "/ws/live", token, receive_buffer=SMALL_BUFFER) for _ in range(SOCKETS)]
    try:
        return [socket.flood(chunk, most=FLOOD_BYTES, patience_s=PATIENCE_S) for socket in sockets]
    finally:
        for socket in sockets:
            socket.break_off()


def test_text_pings_are_not_read_faster_than_their_answers(server: Process, alice: Person, charlie: Person) -> None:
    text = json.dumps({"type": "ping", "id": "x" * 64}).encode()
    before = resident_bytes(server)
    with LiveSocket(server.url, person=alice) as live:
        live.until_type("welcome")
        for taken, _ in flooding(server, charlie.token, wire(text) * 100):
            assert taken < FLOOD_BYTES / 4, "the server went on reading"
        assert resident_bytes(server) - before < GROWTH_BYTES
        live.send(type="ping", id=1)
        live.until_type("pong")


@pytest.mark.parametrize("kind", ["text", "websocket"])
def test_daphne_stops_reading_too(stack: Stack, logs: Path, charlie: Person, kind: str) -> None:
    env = {**stack.env, "LIVE_FRAMES_PER_SECOND": "100000000"}
    text = json.dumps({"type": "ping", "id": "x" * 64}).encode()
    ping = wire(text) if kind == "text" else wire(b"x" * 125, opcode=PING)
    with daphne_process(env, logs / f"floods-daphne-{kind}.log") as daphne:
        before = resident_bytes(daphne)
        for taken, _ in flooding(daphne, charlie.token, ping * 100):
            assert taken < FLOOD_BYTES / 4, "the server went on reading"
        assert resident_bytes(daphne) - before < GROWTH_BYTES


def test_a_client_that_reads_again_receives_every_answer(server: Process, charlie: Person) -> None:
    pings = 20_000
    flood = b"".join(wire(json.dumps({"type": "ping", "id": number}).encode()) for number in range(pings))
    with HostileSocket(server.url, "/ws/live", charlie.token, receive_buffer=SMALL_BUFFER) as slow:
        taken, is_broken = slow.flood(flood, most=1, patience_s=PATIENCE_S)
        assert not is_broken
        slow.send_while_reading(flood[taken:])
        answers = [frame["id"] for frame in slow.texts(pings + 1) if frame["type"] == "pong"]
    assert answers == list(range(pings))


@pytest.mark.parametrize("token", ["valid", "invalid"])
def test_a_flood_of_websocket_pings_breaks_the_connection(
    server: Process, alice: Person, charlie: Person, token: str
) -> None:
    """An invalid token: the socket is accepted, closed with 4401, and not kept."""
    before = resident_bytes(server)
    presented = charlie.token if token == "valid" else "wst_nonsense"
    with LiveSocket(server.url, person=alice) as live:
        live.until_type("welcome")
        for taken, is_broken in flooding(server, presented, wire(b"x" * 125, opcode=PING) * 100):
            assert is_broken
            assert taken < FLOOD_BYTES / 4
        assert resident_bytes(server) - before < GROWTH_BYTES
        live.send(type="ping", id=1)
        live.until_type("pong")


def test_a_refused_socket_that_does_not_close_is_aborted(server: Process) -> None:
    with HostileSocket(server.url, "/ws/live", "wst_nonsense") as refused:
        begun = time.monotonic()
        assert refused.ended() == 4401
        assert time.monotonic() - begun < 15


def test_memory_is_released_after_a_flood(server: Process, charlie: Person) -> None:
    before = resident_bytes(server)
    flooding(server, charlie.token, wire(json.dumps({"type": "subscribe", "id": "x" * 60_000}).encode()))
    wait_until(lambda: resident_bytes(server) - before < GROWTH_BYTES, "memory released")
