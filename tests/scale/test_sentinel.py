"""Redis with Sentinel: the master fails, a replica takes over, and no reading is lost, duplicated or out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from testing.cast import PASSWORD, Person
from testing.redis_servers import SentinelSet, running
from testing.stack import Stack
from testing.waiting import wait_until, wait_until_async
from tests.chaos.drama import Drama
from tests.scale.site import ScaleSite, site_running

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    with running(SentinelSet(tmp_path_factory.mktemp("sentinel"))) as started:
        yield started


@pytest.fixture(scope="module")
def site(stack: Stack, sentinels: SentinelSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaleSite]:
    env = {**stack.env, "REDIS_URL": sentinels.url}
    with site_running(env, tmp_path_factory.mktemp("sentinel-site")) as started:
        yield started


async def test_a_planned_failover_under_load(act: Drama, sentinels: SentinelSet) -> None:
    await asyncio.to_thread(sentinels.fail_over)
    await act.flow()
    await act.settle()


async def test_the_master_is_frozen_under_load_and_becomes_a_replica(act: Drama, sentinels: SentinelSet) -> None:
    frozen = sentinels.master
    with frozen.frozen():
        await has_other_master(sentinels, frozen.port)
        await act.flow()
    await act.flow()
    await act.settle()


async def test_the_master_is_killed_under_load(
    act: Drama, site: ScaleSite, person: Person, sentinels: SentinelSet
) -> None:
    killed = sentinels.master
    killed.kill()
    try:
        await has_other_master(sentinels, killed.port)
        await act.flow()
        await asyncio.to_thread(signing_in_and_tickets_work, person)
        await act.settle()
    finally:
        killed.start()


async def has_other_master(sentinels: SentinelSet, port: int) -> None:
    async def is_other() -> bool:
        return (await asyncio.to_thread(lambda: sentinels.master)).port != port

    await wait_until_async(is_other, "the replica has become the master", deadline_s=30)


def signing_in_and_tickets_work(person: Person) -> None:
    """Login attempts and tickets both depend on Redis."""
    wait_until(lambda: person.http.post("/api/auth/ws-ticket").status_code == 200, "tickets are issued again")
    answer = person.http.post("/api/auth/login", json={"username": person.username, "password": PASSWORD})
    assert answer.status_code == 200
