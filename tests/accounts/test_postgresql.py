"""PostgreSQL as the accounts database: few connections, bounded waits, recovery after an outage."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from testing.accounts import accounts_create
from testing.proxy import TcpProxy
from testing.stack import Stack
from testing.waiting import wait_until
from tests.accounts.conftest import NewAccounts
from tests.accounts.site import Site
from tests.auth_app.answers import assert_problem
from tests.chaos.services import TIMESCALE, Services

POOL = 3
CLOSE_INTERNAL = 1011


class FarSite(Site):
    """A site that reaches PostgreSQL through `proxy`."""

    def __init__(self, stack: Stack, url: str, folder: Path, *, timeout_ms: int) -> None:
        parts = urlsplit(url)
        self.proxy = TcpProxy((str(parts.hostname), int(parts.port or 0)))
        userinfo = parts.netloc.rpartition("@")[0]
        through = parts._replace(netloc=f"{userinfo}@127.0.0.1:{self.proxy.port}").geturl()
        super().__init__(stack, through, folder, ACCOUNTS_TIMEOUT_MS=str(timeout_ms), ACCOUNTS_POOL_SIZE=str(POOL))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.proxy.close()

    def close_code(self, token: str) -> int:
        """Return the code that closes a live socket with this token."""
        url = self.server.url.replace("http://", "ws://") + "/ws/live"
        with connect(url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None) as live:
            with suppress(ConnectionClosed):
                live.recv(30)
            assert live.close_code is not None
            return live.close_code


@pytest.fixture
def site(stack: Stack, new_postgresql: NewAccounts, tmp_path: Path) -> Iterator[FarSite]:
    with FarSite(stack, new_postgresql(), tmp_path, timeout_ms=30_000) as far:
        far.register("alice")
        yield far


@pytest.fixture
def impatient(stack: Stack, new_postgresql: NewAccounts, tmp_path: Path) -> Iterator[FarSite]:
    with FarSite(stack, new_postgresql(), tmp_path, timeout_ms=2_000) as far:
        far.register("alice")
        yield far


def test_requests_share_a_few_connections(site: FarSite) -> None:
    token = site.token("alice")

    def ask(number: int) -> int:
        with site.client(token) as http:
            return http.post("/api/auth/tokens", json={"name": str(number)}).status_code

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(ask, range(48))) == {201}
    assert site.login("alice").status_code == 200
    assert site.proxy.connections_accepted <= POOL


def test_disconnecting_clients_do_not_exhaust_the_pool(site: FarSite) -> None:
    body = b'{"username": "alice", "password": "wrong"}'
    head = "POST /api/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}"
    for _ in range(4 * POOL):
        with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as caller:
            caller.sendall(head.encode() + b"\r\n\r\n" + body)
    with site.client(wait_until(lambda: _token(site), "login works")) as http:
        assert [http.get("/api/devices").status_code for _ in range(2 * POOL)] == [200] * 2 * POOL


def _token(site: Site) -> str:
    answer = site.login("alice")
    return str(answer.json()["token"]) if answer.status_code == 200 else ""


@pytest.mark.parametrize("how", ["cut", "pause"])
def test_requests_get_503_during_an_outage_and_succeed_after_it(impatient: FarSite, how: str) -> None:
    site = impatient
    tokens = [site.token("alice") for _ in range(2)]
    with site.client(tokens[0]) as http:
        http.get("/api/auth/me")  # leaves a connection in the pool
        site.proxy.cut() if how == "cut" else site.proxy.pause()
        assert_problem(site.login("alice"), 503, code="unavailable")
        assert_problem(http.get("/api/auth/me"), 503, code="unavailable")
        _assert_hot_requests_do_not_wait_for_each_other(http)
        assert site.close_code(tokens[1]) == CLOSE_INTERNAL
        admin = httpx.get(site.server.url + "/admin/", cookies={"sessionid": "a" * 32}, timeout=30)
        assert_problem(admin, 503, code="unavailable")
        site.proxy.restore() if how == "cut" else site.proxy.resume()
        wait_until(lambda: http.get("/api/auth/me").status_code == 200, "accounts answer again")
        wait_until(lambda: http.get("/api/latest").status_code == 200, "hot routes answer again")
    assert "error in /api" not in site.server.log.read_text(), "a hot route raised an unexpected error"


def _assert_hot_requests_do_not_wait_for_each_other(http: httpx.Client) -> None:
    """A single thread would answer the last of 24 requests after 24 timeouts, longer than clients wait."""
    with ThreadPoolExecutor(24) as threads:
        for answer in threads.map(http.get, ["/api/latest?devices=ems_001"] * 24):
            assert_problem(answer, 503, code="unavailable")


def test_dead_connections_of_the_pool_are_not_used(site: FarSite) -> None:
    with site.client(site.token("alice")) as http:
        for _ in range(3):
            site.proxy.kill_connections()
            assert http.get("/api/auth/me").status_code == 200


def test_requests_succeed_after_a_restart_of_postgresql(stack: Stack, tmp_path: Path) -> None:
    services = Services()
    services.start()
    try:
        accounts = accounts_create(services.env()["TELEMETRY_ADMIN_URL"])
        with Site(stack, accounts.url, tmp_path, ACCOUNTS_TIMEOUT_MS="2000") as site:
            site.register("alice")
            with site.client(site.token("alice")) as http:
                services.kill(TIMESCALE)
                assert_problem(http.get("/api/auth/me"), 503, code="unavailable")
                services.start()
                wait_until(lambda: http.get("/api/auth/me").status_code == 200, "accounts answer again")
                assert site.login("alice").status_code == 200
    finally:
        services.remove()
