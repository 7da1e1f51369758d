"""The bounded way out of a socket."""

from __future__ import annotations

import asyncio
import json

from live_app import protocol
from live_app.outlet import HOPELESS_OVERFLOWS, Outlet
from telemetry.times import SECOND_US, us_from_iso

MAX_FRAMES = 10


class Reader:
    """A socket that takes frames only while `reads` is set."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.frames: list[str] = []
        self.is_hopeless = False
        self.outlet = Outlet(self.send, max_frames=MAX_FRAMES, on_hopeless=self.give_up)

    async def send(self, text: str) -> None:
        await self.reads.wait()
        self.frames.append(text)

    def give_up(self) -> None:
        self.is_hopeless = True

    def offer(self, count: int) -> None:
        for second in range(count):
            self.outlet.put_readings(f"reading {second}", "a", second * SECOND_US, second * SECOND_US)

    async def all_sent(self) -> list[str]:
        self.reads.set()
        sender = asyncio.create_task(self.outlet.run())
        async with asyncio.timeout(5):
            await self.outlet.drained.wait()
        sender.cancel()
        return self.frames


async def test_frames_go_out_in_order() -> None:
    reader = Reader()
    reader.outlet.put("welcome")
    reader.offer(5)
    assert await reader.all_sent() == ["welcome", *(f"reading {second}" for second in range(5))]


async def test_over_the_bound_the_oldest_readings_go_and_one_gap_tells_the_span() -> None:
    reader = Reader()
    reader.outlet.put("welcome")
    reader.offer(25)
    gap, *rest = await reader.all_sent()
    told = json.loads(gap)
    assert (told["type"], told["device_id"]) == ("gap", "a")
    first, last = us_from_iso(told["from"]), us_from_iso(told["to"])
    kept = [frame for frame in rest if frame.startswith("reading")]
    assert (first, last) == (0, 15 * SECOND_US)
    assert kept == [f"reading {second}" for second in range(16, 25)]
    assert "welcome" in rest


async def test_a_gap_that_is_dropped_stays_named() -> None:
    reader = Reader()
    reader.outlet.put_readings(protocol.gap("a", 5, 7), "a", 5, 7)
    for _ in range(MAX_FRAMES):
        reader.outlet.put("pong")
    gap = json.loads((await reader.all_sent())[0])
    assert (us_from_iso(gap["from"]), us_from_iso(gap["to"])) == (5, 7)


async def test_a_socket_that_never_reads_is_given_up() -> None:
    reader = Reader()
    reader.offer(MAX_FRAMES * HOPELESS_OVERFLOWS)
    assert not reader.is_hopeless
    reader.offer(MAX_FRAMES + 1)
    assert reader.is_hopeless


async def test_even_control_frames_alone_do_not_grow_without_end() -> None:
    reader = Reader()
    for _ in range(MAX_FRAMES * (HOPELESS_OVERFLOWS + 1)):
        reader.outlet.put("pong")
    assert reader.is_hopeless


async def test_what_is_queued_for_a_device_can_be_taken_back() -> None:
    reader = Reader()
    reader.offer(25)
    reader.outlet.put("revoked")
    reader.outlet.discard("a")
    assert await reader.all_sent() == ["revoked"]
