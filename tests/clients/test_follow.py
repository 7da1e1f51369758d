"""Reconnection of the Python client: a scripted websocket server ends each connection."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from wattstream_client import (
    Backoff,
    Event,
    Forbidden,
    Gap,
    NotAuthenticated,
    ProtocolViolation,
    Reading,
    Refused,
    Revoked,
    Unrecovered,
    WattstreamClient,
    WattstreamError,
)
from wattstream_client.stream import Timeouts
from websockets.asyncio.server import ServerConnection, serve

pytestmark = pytest.mark.processes

DEADLINE_S = 20
Frame = dict[str, Any]
Scene = Callable[[ServerConnection, Frame], Awaitable[None]]


def time_of(second: int) -> str:
    return f"2026-11-23T10:00:{second:02d}.000Z"


def reading(second: int, device_id: str = "a") -> Frame:
    return {"type": "reading", "device_id": device_id, "time": time_of(second), "values": {"grid_power": float(second)}}


def backlog(*seconds: int) -> Frame:
    rows = [[time_of(second), float(second)] for second in seconds]
    return {"type": "backlog", "device_id": "a", "columns": ["time", "grid_power"], "rows": rows}


def subscribed(cursor: str | None, *, recovered: bool = True, device_id: str = "a") -> Frame:
    return {"type": "subscribed", "id": 1, "device_id": device_id, "cursor": cursor, "recovered": recovered}


def scene(*frames: Frame, close: int | None = None) -> Scene:
    """Send `frames`, then close with code `close`, or abort the connection."""

    async def play(socket: ServerConnection, _: Frame) -> None:
        for frame in frames:
            await socket.send(json.dumps(frame))
        if close is None:
            socket.transport.abort()
        else:
            await socket.close(close)

    return play


class Stage:
    """The scripted server. `requests`: the first frame of each connection."""

    def __init__(self, scenes: list[Scene]) -> None:
        self.requests: list[Frame] = []
        self.url = ""
        self._scenes = iter(scenes)

    async def __call__(self, socket: ServerConnection) -> None:
        request = json.loads(await socket.recv())
        self.requests.append(request)
        play = next(self._scenes, None)
        if play is not None:
            await play(socket, request)
        else:
            await socket.wait_closed()


@asynccontextmanager
async def stage(*scenes: Scene) -> AsyncIterator[Stage]:
    stage = Stage(list(scenes))
    async with serve(stage, "127.0.0.1", 0, ping_interval=None) as server:
        stage.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield stage


def client_of(stage: Stage, **timeouts: float) -> WattstreamClient:
    return WattstreamClient(
        stage.url, "token", backoff=lambda: Backoff(first_s=0.001, longest_s=0.01), timeouts=Timeouts(**timeouts)
    )


async def follow(stage: Stage, cursors: dict[str, str | None], count: int, **timeouts: float) -> list[Event]:
    """Return the first `count` events."""
    found: list[Event] = []
    async with (
        asyncio.timeout(DEADLINE_S),
        client_of(stage, **timeouts) as client,
        aclosing(client.follow(cursors)) as events,
    ):
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found


def seconds_of(events: list[Event]) -> list[int]:
    return [int(event.time[17:19]) for event in events if isinstance(event, Reading)]


@pytest.mark.parametrize("close", [None, 1000, 1011, 1012, 4408, 4429])
async def test_reconnects_resume_after_the_last_reading_without_duplicates(close: int | None) -> None:
    first = scene(subscribed(time_of(1)), backlog(2, 3), reading(4), close=close)
    second = scene(subscribed(time_of(3)), reading(4), reading(5), close=close)
    async with stage(first, second) as server:
        events = await follow(server, {"a": time_of(1)}, 4)
    assert seconds_of(events) == [2, 3, 4, 5]
    assert [request["since"] for request in server.requests[:2]] == [{"a": time_of(1)}, {"a": time_of(4)}]


@pytest.mark.parametrize(("close", "error"), [(4400, ProtocolViolation), (4401, NotAuthenticated), (4403, Forbidden)])
async def test_fatal_close_codes_end_the_subscription(close: int, error: type[WattstreamError]) -> None:
    async with stage(scene(reading(1), close=close)) as server:
        with pytest.raises(error, match=str(close)):
            await follow(server, {"a": None}, 2)
        assert len(server.requests) == 1


async def test_a_subscription_from_now_on_resumes_from_its_first_cursor() -> None:
    async with stage(scene(subscribed(time_of(7))), scene(reading(8), close=1000)) as server:
        assert seconds_of(await follow(server, {"a": None}, 1)) == [8]
    assert [request["since"] for request in server.requests] == [{"a": None}, {"a": time_of(7)}]


async def test_gaps_are_reported_and_revoked_devices_are_dropped() -> None:
    told = [
        subscribed(time_of(9), recovered=False),
        {"type": "gap", "device_id": "a", "from": time_of(10), "to": time_of(11)},
        {"type": "revoked", "device_id": "a"},
        {"type": "error", "id": 1, "code": "forbidden", "message": "no access to 'c'", "devices": ["c"]},
        reading(1, "b"),
    ]
    async with stage(scene(*told), scene(reading(2, "b"), close=1000)) as server:
        events = await follow(server, {"a": time_of(1), "b": None, "c": None}, 6)
    assert events[:4] == [
        Unrecovered("a", time_of(1), time_of(9)),
        Gap("a", time_of(10), time_of(11)),
        Revoked("a"),
        Refused("forbidden", "no access to 'c'", ("c",)),
    ]
    assert seconds_of(events) == [1, 2]
    assert server.requests[1]["devices"] == ["b"]


async def test_a_server_that_answers_no_ping_is_disconnected() -> None:
    async def fall_silent(socket: ServerConnection, _: Frame) -> None:
        socket.transport.pause_reading()
        await socket.wait_closed()

    async with stage(fall_silent, scene(reading(1), close=1000)) as server:
        assert seconds_of(await follow(server, {"a": None}, 1, ping_s=0.2)) == [1]


async def test_the_client_waits_for_a_server_to_start() -> None:
    async with stage(scene(reading(1), close=1000)) as server:
        url = server.url
    port = int(url.rpartition(":")[2])
    empty = Stage([scene(reading(1), close=1000)])
    empty.url = url
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow(empty, {"a": None}, 1))
        await asyncio.sleep(0)
        async with serve(empty, "127.0.0.1", port):
            assert seconds_of(await following) == [1]


def test_the_backoff_grows_and_is_bounded_and_jittered() -> None:
    backoff = Backoff(first_s=1, longest_s=8, chance=random.Random(1))
    waits = [backoff.next_s() for _ in range(50)]
    for wait, bound in zip(waits, [1, 2, 4, *[8] * 47], strict=True):
        assert bound / 2 <= wait <= bound
    assert len(set(waits)) == len(waits)
    backoff.reset()
    assert backoff.next_s() <= 1
