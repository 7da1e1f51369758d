"""One user takes all that a user can get. Others are served meanwhile, and only the heavy user is refused."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from psycopg import sql

from core.catalogue import CATALOGUE
from telemetry.ddl import table_of
from telemetry.times import iso_from_us
from testing.cast import Person, device_create
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us
from testing.waiting import wait_until

pytestmark = pytest.mark.processes

HEAVY = 20  # connections of the heavy user
CALM = 10  # requests of another user, per path
READINGS = 200_000
BACKLOG_S = 9_000
EXPORTS_PER_USER = 2


@pytest.fixture(scope="module")
def server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server that reads raw readings only, has two connections, and lets few requests wait."""
    env = {"HISTORY_USE_TIERS": "0", "TELEMETRY_POOL_SIZE": "2", "TELEMETRY_POOL_WAITING": "4"}
    more = {"TELEMETRY_POOL_TIMEOUT_MS": "20000", "HISTORY_TIMEOUT_MS": "60000"}
    with server_process({**stack.env, **env, **more}, logs / "shares.log") as process:
        yield process


@pytest.fixture
def big(stack: Stack, bob: Person) -> str:
    """A device of bob with very many readings until now, one per second."""
    device_id = device_create(owner=bob)
    with stack.admin() as connection:
        connection.execute(
            sql.SQL(
                "INSERT INTO {} ({}, {}, {}) SELECT now() - i * interval '1 second', %s, 1.0"
                " FROM generate_series(1, %s) AS i"
            ).format(
                table_of(CATALOGUE),
                *map(sql.Identifier, (CATALOGUE.time, CATALOGUE.device, CATALOGUE.metrics[0].column)),
            ),
            [device_id, READINGS],
        )
    return device_id


Attack = Callable[[httpx.Client, int], httpx.Response]


@contextmanager
def attack(server: Process, person: Person, request: Attack) -> Iterator[list[int]]:
    """Let HEAVY connections of one user send one request after the other. Yields the statuses until now."""
    is_over = threading.Event()
    statuses: list[int] = []
    numbers = itertools.count()
    headers = {"Authorization": f"Bearer {person.token}"}

    def work() -> None:
        with httpx.Client(base_url=server.url, headers=headers, timeout=120) as http:
            while not is_over.is_set():
                statuses.append(request(http, next(numbers)).status_code)

    threads = [threading.Thread(target=work) for _ in range(HEAVY)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(statuses) > HEAVY, "the attack is running")
        yield statuses
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def served(person: Person, *paths: str) -> None:
    """Every request of this user succeeds."""
    for path in paths:
        assert [person.http.get(path).status_code for _ in range(CALM)] == [200] * CALM, path


def test_slow_queries_of_one_user_leave_connections_to_the_others(
    server: Process, alice: Person, bob: Person, device: str, big: str
) -> None:
    now = now_us()

    def request(http: httpx.Client, number: int) -> httpx.Response:
        return http.get(f"/api/history/{big}?range=7d&end={iso_from_us(now - number * 1_000_000)}&resolution=1h")

    with attack(server, bob, request) as statuses:
        served(alice, "/livez", f"/api/latest?devices={device}", f"/api/history/{device}?range=1h", "/readyz")
        wait_until(lambda: {200, 503} <= set(statuses), "the heavy user is served and refused")
    assert set(statuses) == {200, 503}


def test_long_energy_questions_do_not_delay_others(server: Process, alice: Person, bob: Person, device: str) -> None:
    own = device_create(owner=bob)
    zones = ["Europe/Berlin", "Africa/Monrovia", "America/New_York"]

    def request(http: httpx.Client, number: int) -> httpx.Response:
        start = iso_from_us(946_684_800_000_000 + number * 60_000_000)
        return http.get(f"/api/energy/{own}?period=day&start={start}&tz={zones[number % 3]}")

    with attack(server, bob, request) as statuses:
        served(alice, "/livez", f"/api/latest?devices={device}", f"/api/energy/{device}?period=day&range=7d")
    assert 200 in statuses
    assert set(statuses) <= {200, 503}


def test_exports_of_one_user_leave_room_for_the_others(
    server: Process, alice: Person, bob: Person, device: str, big: str
) -> None:
    path = f"/api/history/{big}/export?range=7d&format=ndjson"
    with ExitStack() as running:
        for _ in range(EXPORTS_PER_USER):
            assert running.enter_context(bob.http.stream("GET", path)).status_code == 200
        refused = bob.http.get(path)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        served(alice, f"/api/history/{device}/export?range=1h&format=ndjson")
    wait_until(lambda: bob.http.get(path + "&metrics=battery_soc").status_code == 200, "bob may export again")


def test_large_backlogs_of_one_user_do_not_stop_anothers_join(
    server: Process, alice: Person, bob: Person, device: str, big: str
) -> None:
    since = iso_from_us(now_us() - BACKLOG_S * 1_000_000)
    is_over = threading.Event()
    joins: list[bool] = []

    def work() -> None:
        while not is_over.is_set():
            with LiveSocket(server.url, person=bob) as socket:
                socket.subscribe(big, since=since)
                socket.until_type("subscribed")
                joins.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(joins) > len(threads), "the attack is running")
        for _ in range(CALM):
            with LiveSocket(server.url, person=alice) as socket:
                socket.subscribe(device, since=since)
                assert socket.until_type("subscribed")["recovered"] is True
        served(alice, "/livez", f"/api/latest?devices={device}")
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
