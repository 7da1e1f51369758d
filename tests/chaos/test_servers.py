"""Server processes stop and start; clients that follow the contract lose no reading."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from telemetry.times import iso_from_us
from testing.cast import Person, device_create
from testing.flood import flood
from testing.servers import server_process
from testing.socket import LiveSocket
from tests.chaos.drama import Drama
from tests.chaos.site import Site

pytestmark = pytest.mark.processes


async def test_a_server_is_killed_and_another_takes_over(act: Drama) -> None:
    await asyncio.to_thread(act.site.servers[0].stop, signal.SIGKILL)
    act.site.point_at(1)
    await act.flow()
    await act.settle()


async def test_a_rolling_restart_of_two_servers(act: Drama) -> None:
    for number in (0, 1):
        act.site.point_at(1 - number)
        await asyncio.to_thread(act.site.servers[number].stop)
        await act.flow(5)
        await asyncio.to_thread(act.site.servers[number].start)
        await act.flow(5)
    await act.settle()


async def test_sigterm_closes_sockets_with_1012(act: Drama, watching_person: Person) -> None:
    def watch_the_end() -> int:
        with LiveSocket(act.site.servers[1].url, person=watching_person) as live:
            live.subscribe(*act.devices)
            live.until_type("reading")
            act.site.servers[1].stop()
            return live.close_code()

    assert await asyncio.to_thread(watch_the_end) == 1012
    await act.settle()


async def test_sigterm_sends_queued_frames_before_the_close(
    site: Site, watching_person: Person, tmp_path: Path
) -> None:
    env = site.env | {"LIVE_QUEUE_MAX_FRAMES": "100000", "LIVE_QUEUE_MAX_BYTES": "100000000"}
    device_id = await asyncio.to_thread(device_create, owner=watching_person)

    def watch_the_end() -> tuple[list[int], list[int]]:
        with (
            server_process(env, tmp_path / "server.log") as server,
            LiveSocket(server.url, person=watching_person) as slow,
            LiveSocket(server.url, person=watching_person) as quick,
        ):
            for live in (slow, quick):
                live.subscribe(device_id)
                live.until_type("subscribed")
            published = [us for _ in range(10) for us in flood(site.env, device_id)]
            quick.until(lambda frame: frame.get("time") == iso_from_us(published[-1]))
            server.send_signal(signal.SIGTERM)
            quick.close_code()  # returns when the server is closing
            assert slow.close_code() == 1012
            return published, slow.times(device_id)

    published, given = await asyncio.to_thread(watch_the_end)
    assert given == published


async def test_a_server_is_frozen_temporarily(act: Drama) -> None:
    server = act.site.servers[0]
    server.send_signal(signal.SIGSTOP)
    try:
        await act.flow(20)
    finally:
        server.send_signal(signal.SIGCONT)
    await act.flow()
    await act.settle()
