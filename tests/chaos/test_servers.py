"""Server processes come and go; clients that follow the contract lose nothing."""

from __future__ import annotations

import asyncio
import signal

from tests.chaos.drama import Drama
from tests.support.cast import Person
from tests.support.socket import LiveSocket


async def test_killed_and_another_takes_over(act: Drama) -> None:
    await asyncio.to_thread(act.site.servers[0].stop, signal.SIGKILL)
    act.site.point_at(1)
    await act.flow()
    await act.settle()


async def test_a_rolling_restart_of_two(act: Drama) -> None:
    for number in (0, 1):
        act.site.point_at(1 - number)
        await asyncio.to_thread(act.site.servers[number].stop)
        await act.flow(5)
        await asyncio.to_thread(act.site.servers[number].start)
        await act.flow(5)
    await act.settle()


async def test_at_sigterm_a_socket_is_closed_with_1012(act: Drama, watching_person: Person) -> None:
    def watch_the_end() -> int:
        with LiveSocket(act.site.servers[1].url, person=watching_person) as live:
            live.subscribe(*act.devices)
            live.until_type("reading")
            act.site.servers[1].stop()
            return live.close_code()

    assert await asyncio.to_thread(watch_the_end) == 1012
    await act.settle()


async def test_frozen_for_a_while(act: Drama) -> None:
    server = act.site.servers[0]
    server.send_signal(signal.SIGSTOP)
    try:
        await act.flow(20)
    finally:
        server.send_signal(signal.SIGCONT)
    await act.flow()
    await act.settle()
