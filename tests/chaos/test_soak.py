"""Random faults in random order, for `--soak` minutes. `--seed` repeats a sequence."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from testing.cast import Person, device_create
from tests.chaos.drama import Drama, drama
from tests.chaos.services import REDIS, TIMESCALE
from tests.chaos.site import Site

pytestmark = pytest.mark.processes

DEVICES = 3
FAULTS_A_ROUND = 4
MINUTE_S = 60
logger = logging.getLogger(__name__)


async def redis_connections_of_servers(act: Drama) -> None:
    act.site.server_redis_proxy.kill_connections()


async def redis_connections_of_writer(act: Drama) -> None:
    act.site.writer_redis_proxy.kill_connections()


async def redis_empty(act: Drama) -> None:
    act.site.services.kill(REDIS)
    await act.flow(act.chance.randint(0, 5))
    await asyncio.to_thread(act.site.services.start)


async def redis_paused(act: Drama) -> None:
    with act.site.services.paused(REDIS):
        await asyncio.sleep(act.chance.uniform(0.5, 8))


async def timescale_restarted(act: Drama) -> None:
    act.site.services.kill(TIMESCALE)
    await act.flow(act.chance.randint(0, 5))
    await asyncio.to_thread(act.site.services.start)


async def store_lags(act: Drama) -> None:
    act.site.store_proxy.pause()
    await act.flow(act.chance.randint(1, 8))
    act.site.store_proxy.resume()


async def clients_cut(act: Drama) -> None:
    act.site.front.kill_connections()


async def server_taken_over(act: Drama) -> None:
    """Kill or terminate a server while the other one takes over."""
    number = act.chance.randint(0, 1)
    act.site.point_at(1 - number)
    await asyncio.to_thread(act.site.servers[number].stop, act.chance.choice([signal.SIGKILL, signal.SIGTERM]))
    await act.flow(act.chance.randint(0, 5))
    await asyncio.to_thread(act.site.servers[number].start)


async def server_frozen(act: Drama) -> None:
    server = act.chance.choice(act.site.servers)
    server.send_signal(signal.SIGSTOP)
    await asyncio.sleep(act.chance.uniform(0.5, 5))
    server.send_signal(signal.SIGCONT)


async def burst(act: Drama) -> None:
    await act.load.burst(act.chance.choice(act.devices), act.chance.randint(10, 900))


async def repeated(act: Drama) -> None:
    await act.load.again(act.chance.choice(act.devices))


FAULTS: list[Callable[[Drama], Awaitable[None]]] = [
    redis_connections_of_servers,
    redis_connections_of_writer,
    redis_empty,
    redis_paused,
    timescale_restarted,
    store_lags,
    clients_cut,
    server_taken_over,
    server_frozen,
    burst,
    repeated,
]


@pytest.mark.soak
async def test_random_faults(site: Site, watching_person: Person, seed: int, request: pytest.FixtureRequest) -> None:
    ends = time.monotonic() + float(request.config.getoption("soak")) * MINUTE_S
    while time.monotonic() < ends:
        await one_round(site, watching_person, seed)
        seed += 1


async def one_round(site: Site, person: Person, seed: int) -> None:
    """Play some faults one after the other, then compare."""
    chance = random.Random(seed)
    faults = [chance.choice(FAULTS) for _ in range(FAULTS_A_ROUND)]
    logger.warning("seed %d: %s", seed, ", ".join(fault.__name__ for fault in faults))
    devices = [await asyncio.to_thread(device_create, owner=person) for _ in range(DEVICES)]
    async with drama(site, person, devices, seed) as act:
        for fault in faults:
            await fault(act)
            await act.flow(chance.randint(0, 5))
        await act.settle()
