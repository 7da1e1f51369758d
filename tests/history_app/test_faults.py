"""History while the database is unavailable, slow, or must not be queried."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from testing.cast import Person, person_create
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, readings_each_second, store, waiting_queries
from testing.waiting import wait_until


@pytest.fixture(scope="module")
def proxied(stack: Stack, logs: Path) -> Iterator[tuple[Process, TcpProxy]]:
    """A separate server with a proxy to TimescaleDB."""
    proxy, url = stack.telemetry_proxy()
    with server_process({**stack.env, "TELEMETRY_URL": url}, logs / "proxied.log") as server:
        yield server, proxy


@pytest.fixture
def at_proxied(proxied: tuple[Process, TcpProxy], alice: Person) -> Iterator[httpx.Client]:
    """alice's client of that server."""
    headers = {"Authorization": f"Bearer {alice.token}"}
    with httpx.Client(base_url=proxied[0].url, headers=headers, timeout=30) as client:
        yield client


def test_foreign_requests_get_403_even_without_the_database(
    proxied: tuple[Process, TcpProxy], charlie: Person, device: str
) -> None:
    server, proxy = proxied
    proxy.cut()
    try:
        for asked in (device, "no-such-device"):
            answer = httpx.get(
                f"{server.url}/api/history/{asked}", headers={"Authorization": f"Bearer {charlie.token}"}
            )
            assert answer.status_code == 403
    finally:
        proxy.restore()


def test_foreign_requests_do_not_reach_the_telemetry_database(
    stack: Stack, logs: Path, alice: Person, device: str
) -> None:
    """A server with requests of strangers only has opened no connection."""
    proxy, url = stack.telemetry_proxy()
    with server_process({**stack.env, "TELEMETRY_URL": url}, logs / "untouched.log") as server:
        stranger = person_create(f"stranger_{now_us()}", base_url=server.url)
        for path in (f"/api/history/{device}", f"/api/history/{device}?range=30d", "/api/history/nothing"):
            assert stranger.http.get(path).status_code == 403
            assert httpx.get(server.url + path).status_code == 401
        stranger.http.close()
        assert proxy.connections_accepted == 0
        owner = httpx.get(f"{server.url}/api/history/{device}", headers={"Authorization": f"Bearer {alice.token}"})
        assert owner.status_code == 200
        assert proxy.connections_accepted > 0


def test_requests_get_503_quickly_and_recover_without_a_restart(
    stack: Stack, proxied: tuple[Process, TcpProxy], at_proxied: httpx.Client, device: str
) -> None:
    _, proxy = proxied
    store(stack, readings_each_second(device, now_us() - 60_000_000, 10))
    assert at_proxied.get(f"/api/history/{device}?range=10m").status_code == 200
    proxy.cut()
    try:
        for _ in range(3):
            begun = time.monotonic()
            answer = at_proxied.get(f"/api/history/{device}?range=10m")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["content-type"] == "application/problem+json"
            assert time.monotonic() - begun < 10  # never a hang; it takes about 2 s
        assert at_proxied.get("/readyz").status_code == 503
        assert at_proxied.get("/livez").status_code == 200
    finally:
        proxy.restore()
    wait_until(
        lambda: at_proxied.get(f"/api/history/{device}?range=10m").status_code == 200, "history after the outage"
    )


def test_a_silent_database_is_503_after_a_timeout(stack: Stack, logs: Path, alice: Person, device: str) -> None:
    proxy, url = stack.telemetry_proxy()
    env = {**stack.env, "TELEMETRY_URL": url, "HISTORY_TIMEOUT_MS": "1500"}
    with server_process(env, logs / "silent.log") as server:
        headers = {"Authorization": f"Bearer {alice.token}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
            assert client.get(f"/api/history/{device}").status_code == 200
            proxy.pause()
            try:
                assert client.get(f"/api/history/{device}").status_code == 503
            finally:
                proxy.resume()
            wait_until(lambda: client.get(f"/api/history/{device}").status_code == 200, "history after the silence")


def test_a_disconnected_client_cancels_its_query(stack: Stack, server: Process, alice: Person, device: str) -> None:
    """The table is locked, so that the query still runs when the client disconnects."""
    with ThreadPoolExecutor(1) as thread, stack.admin() as locker, locker.transaction():
        locker.execute("LOCK TABLE energy_data IN ACCESS EXCLUSIVE MODE")
        asked = thread.submit(alice.http.get, f"/api/history/{device}?range=24h", timeout=1.5)
        wait_until(lambda: waiting_queries(stack) == 1, "the query is running")
        with pytest.raises(httpx.ReadTimeout):
            asked.result()
        # well before HISTORY_TIMEOUT_MS
        wait_until(lambda: waiting_queries(stack) == 0, "the query was cancelled", deadline_s=5)
    assert alice.http.get(f"/api/history/{device}?range=24h").status_code == 200
