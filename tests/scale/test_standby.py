"""History from a standby that lags, fails or stops answering: requests succeed and no reading is lost or repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis

from telemetry.times import us_from_iso
from testing.cast import Person
from testing.postgres_pair import PostgresPair
from testing.stack import Stack, manage
from testing.waiting import wait_until
from tests.chaos.drama import Drama
from tests.chaos.watcher import Watcher
from tests.scale.site import ScaleSite, site_running

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def pair() -> Iterator[PostgresPair]:
    pair = PostgresPair()
    try:
        pair.start()
        yield pair
    finally:
        pair.remove()


@pytest.fixture(scope="module")
def site(stack: Stack, pair: PostgresPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaleSite]:
    env = {**stack.env, **pair.env, "TELEMETRY_POOL_LIFETIME_S": "1"}
    manage(env, "telemetry_schema", "--apply")
    with site_running(env, tmp_path_factory.mktemp("standby-site")) as started:
        yield started


@pytest.fixture(autouse=True)
def reads_from_standby(site: ScaleSite, person: Person, devices: list[str], pair: PostgresPair) -> None:
    """Connections that a test left on the primary are replaced when they are used."""

    def is_so() -> bool:
        for server in site.servers:
            asked = person.http.get(f"{server.url}/api/history/{devices[0]}?range=10m", headers=token(person))
            assert asked.status_code in (200, 503)
        return pair.sessions(standby=True) >= 2 and not pair.sessions(standby=False)

    wait_until(is_so, "both servers read from the standby alone", deadline_s=40)


def token(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


async def test_reads_use_the_standby_and_its_lag_loses_no_reading(
    act: Drama, site: ScaleSite, person: Person, pair: PostgresPair
) -> None:
    device_id = act.devices[0]
    pair.pause_replay()
    try:
        await act.flow()
        sent = act.load.sent[device_id][-1]
        history = person.http.get(f"/api/history/{device_id}?range=10m&resolution=raw").json()
        assert us_from_iso(history["cursor"]) < sent, "the standby does not lag"
        (latest,) = person.http.get(f"/api/latest?devices={device_id}").json()
        assert us_from_iso(latest["time"]) >= sent
        async with Watcher(site.url, person.token, act.devices) as late:
            act.watchers.append(late)
            with_new_rings(site)
            await act.flow(5)
            pair.resume_replay()
            await act.flow(5)
            await act.settle()
    finally:
        pair.resume_replay()


def with_new_rings(site: ScaleSite) -> None:
    """Break the Redis connections of writer and servers: rings and streams start again."""
    with redis.Redis.from_url(site.env["REDIS_URL"], socket_timeout=5) as client:
        for kind in ("pubsub", "normal"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


async def test_the_standby_is_killed_under_load_and_restarted(
    act: Drama, site: ScaleSite, person: Person, pair: PostgresPair
) -> None:
    path = f"/api/history/{act.devices[0]}?range=10m"
    asked: list[int] = []
    is_over = asyncio.Event()

    async def ask() -> None:
        while not is_over.is_set():
            asked.append((await asyncio.to_thread(person.http.get, path)).status_code)

    asking = asyncio.create_task(ask())
    try:
        await act.flow(3)
        await asyncio.to_thread(pair.kill_standby)
        count = len(asked)
        await act.flow(5)
        with_new_rings(site)
        await act.flow(5)
    finally:
        is_over.set()
        await asking
        await asyncio.to_thread(pair.start_standby)
    assert set(asked) == {200}, [asked.index(status) for status in asked if status != 200]
    assert len(asked) > count
    assert pair.sessions(standby=False) > 0
    devices = person.http.get("/api/devices").json()
    assert {device["device_id"] for device in devices} >= set(act.devices)
    await act.settle()


async def test_a_standby_without_answers_is_replaced_by_the_primary(
    act: Drama, person: Person, pair: PostgresPair
) -> None:
    """Its connections stay open, without errors and without answers."""
    path = f"/api/history/{act.devices[0]}?range=10m"
    pair.standby_proxy.pause()
    try:
        answers = [await asyncio.to_thread(person.http.get, path)]
        while answers[-1].status_code == 503:
            assert answers[-1].headers["Retry-After"]
            assert len(answers) < 20
            answers.append(await asyncio.to_thread(person.http.get, path))
        for _ in range(20):
            answer = await asyncio.to_thread(person.http.get, path)
            assert answer.status_code == 200, answer.text
        await act.flow(5)
    finally:
        pair.standby_proxy.resume()
    await act.settle()
