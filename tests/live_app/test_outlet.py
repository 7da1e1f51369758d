"""The outgoing frames of a socket: order, bounds, gaps."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from live_app.delivery import frames
from live_app.delivery.frames import Frame
from live_app.delivery.outlet import DIRECT_MAX_BYTES, Outlet
from live_app.delivery.queue import TOO_SLOW_OVERFLOWS, Queued
from telemetry.times import SECOND_US, us_from_iso
from testing.waiting import wait_until_async

MAX_FRAMES = 10
DEADLINE_S = 5


class Reader:
    """A socket that accepts frames only while `reads` is set."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.frames: list[str] = []
        self.is_too_slow = False
        self.outlet = Outlet(self.send, max_frames=MAX_FRAMES, max_bytes=10_000, on_too_slow=self.give_up)

    async def send(self, queued: Queued) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.reads.wait()
        self.frames.append(queued.frame.text)

    def give_up(self) -> None:
        self.is_too_slow = True

    def offer(self, count: int) -> None:
        for second in range(count):
            self.outlet.put_readings(Frame({"second": second}), "a", second * SECOND_US, second * SECOND_US)

    async def all_sent(self) -> list[dict[str, Any]]:
        self.reads.set()
        await self.outlet.drain(timeout_s=DEADLINE_S)
        return [json.loads(frame) for frame in self.frames]


WELCOME = {"type": "welcome"}


async def test_frames_go_out_in_order() -> None:
    reader = Reader()
    reader.outlet.put(Frame(WELCOME))
    reader.offer(5)
    assert await reader.all_sent() == [WELCOME, *({"second": second} for second in range(5))]


async def test_beyond_the_bound_the_oldest_readings_become_one_gap() -> None:
    reader = Reader()
    reader.outlet.put(Frame(WELCOME))
    reader.offer(25)
    gap, *rest = await reader.all_sent()
    assert (gap["type"], gap["device_id"]) == ("gap", "a")
    assert (us_from_iso(gap["from"]), us_from_iso(gap["to"])) == (0, 15 * SECOND_US)
    assert rest == [WELCOME, *({"second": second} for second in range(16, 25))]


async def test_the_bound_counts_bytes_too() -> None:
    reader = Reader()
    large = {"text": "x" * 4_000}
    for second in range(5):
        reader.outlet.put_readings(Frame(large), "a", second, second)
    gap, *rest = await reader.all_sent()
    assert gap["type"] == "gap"
    assert rest == [large, large]


async def test_a_gap_survives_an_overflow() -> None:
    reader = Reader()
    reader.outlet.put_readings(frames.gap("a", 5, 7), "a", 5, 7)
    for _ in range(MAX_FRAMES):
        reader.outlet.put(Frame(WELCOME))
    gap = (await reader.all_sent())[0]
    assert (us_from_iso(gap["from"]), us_from_iso(gap["to"])) == (5, 7)


async def test_a_socket_that_never_reads_is_closed() -> None:
    reader = Reader()
    reader.offer(MAX_FRAMES * TOO_SLOW_OVERFLOWS)
    assert not reader.is_too_slow
    reader.offer(MAX_FRAMES + 1)
    assert reader.is_too_slow


async def test_control_frames_alone_are_bounded() -> None:
    reader = Reader()
    for _ in range(MAX_FRAMES * (TOO_SLOW_OVERFLOWS + 1)):
        reader.outlet.put(Frame(WELCOME))
    assert reader.is_too_slow


async def test_control_frames_beyond_the_byte_bound_close_the_socket() -> None:
    reader = Reader()
    for _ in range(2):
        reader.outlet.put(Frame({"text": "x" * 4_900}))
    assert not reader.is_too_slow
    reader.outlet.put(Frame({"text": "x" * 4_900}))
    assert reader.is_too_slow


async def test_the_queued_readings_of_a_device_can_be_discarded() -> None:
    reader = Reader()
    reader.offer(25)
    reader.outlet.put(Frame(WELCOME))
    reader.outlet.discard("a")
    assert await reader.all_sent() == [WELCOME]


class Peer(asyncio.Protocol):
    """The peer of a real loopback connection. Reads only on request."""

    def __init__(self) -> None:
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data


async def direct_pair() -> tuple[asyncio.Transport, Peer, asyncio.Transport, asyncio.Server]:
    """A server-side transport, and the peer with its transport."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            accepted.set_result(transport)

    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    theirs, peer = await loop.create_connection(Peer, "127.0.0.1", server.sockets[0].getsockname()[1])
    async with asyncio.timeout(DEADLINE_S):
        return await accepted, peer, theirs, server


async def test_with_a_transport_the_frames_of_one_iteration_are_one_write() -> None:
    transport, peer, theirs, server = await direct_pair()
    reader = Reader()
    outlet = Outlet(
        reader.send, max_frames=MAX_FRAMES, max_bytes=10_000, on_too_slow=reader.give_up, transport=transport
    )
    frames = [Frame({"number": number}) for number in range(50)]
    for frame in frames:
        outlet.put_readings(frame, "a", 0, 0)
    assert reader.frames == []
    expected = b"".join(frame.wire for frame in frames)

    async def all_there() -> bool:
        return peer.received == expected

    await wait_until_async(all_there, "every frame arrived")
    for end in (transport, theirs):
        end.close()
    server.close()


async def test_a_transport_that_is_not_read_goes_through_the_bounded_queue() -> None:
    transport, _, theirs, server = await direct_pair()
    theirs.pause_reading()
    reader = Reader()
    outlet = reader.outlet = Outlet(
        reader.send, max_frames=MAX_FRAMES, max_bytes=1_000_000, on_too_slow=reader.give_up, transport=transport
    )
    large = Frame({"text": "x" * 100_000})
    for number in range(200):
        outlet.put_readings(large, "a", number, number)
        outlet.flush()
    assert transport.get_write_buffer_size() < 2 * DIRECT_MAX_BYTES + len(large.wire)
    gap, *rest = await reader.all_sent()
    assert gap["type"] == "gap"
    assert len(rest) <= MAX_FRAMES
    for end in (transport, theirs):
        end.abort()
    server.close()


@pytest.mark.parametrize("length", [0, 1, 110, 200, 65_000, 70_000])
def test_frames_on_the_wire_are_valid_for_a_websocket_client(length: int) -> None:
    """Parsed by the websockets library."""
    content = {"text": "x" * length}
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN, max_size=None)
    client.receive_data(Frame(content).wire)
    (event,) = client.events_received()
    assert isinstance(event, WireFrame)
    assert (event.opcode, event.fin) == (Opcode.TEXT, True)
    assert json.loads(bytes(event.data)) == content
