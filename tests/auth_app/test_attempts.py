"""Attempt limits per account and per address: 429 or 4429 beyond them, with and without Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import httpx
import pytest

from testing.cast import Person, person_create
from testing.process import Process
from testing.socket import LiveSocket
from tests.auth_app.answers import assert_problem

PER_ACCOUNT = 2
PER_ADDRESS = 3
Post = Callable[[str, str, dict[str, str]], httpx.Response]
Attempt = Callable[[Post, str], httpx.Response]

# Attempts by kind, given a function to post and the account name. Each one is refused or counted.
ATTEMPTS: dict[str, Attempt] = {
    "login": lambda post, name: post("login", name, {"username": name, "password": "wrong"}),
    "register": lambda post, name: post("register", name, {"username": name, "password": "weak"}),
    "key": lambda post, name: post("tokens", name, {"name": "k"}),
    "claim": lambda post, name: post("/api/devices/claim", name, {"device_id": "ems_nowhere", "claim_code": "X"}),
    "ticket": lambda post, name: post("ws-ticket", name, {}),
}
WITHOUT_REDIS = sorted(ATTEMPTS.keys() - {"ticket"})  # tickets are stored in Redis


def fresh_address() -> str:
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


def people(server: Process, count: int) -> list[Person]:
    return [person_create(f"p_{secrets.token_hex(4)}", base_url=server.url) for _ in range(count)]


def try_it(kind: str, person: Person, address: str) -> httpx.Response:
    def post(route: str, name: str, body: dict[str, str]) -> httpx.Response:
        url = route if route.startswith("/") else f"/api/auth/{route}"
        return person.http.post(url, json=body, headers={"X-Forwarded-For": address})

    return ATTEMPTS[kind](post, person.username)


def assert_account_is_limited(server: Process, kind: str) -> None:
    person, other = people(server, 2)
    for _ in range(PER_ACCOUNT):
        assert try_it(kind, person, fresh_address()).status_code not in (429, 500, 503)
    assert_problem(try_it(kind, person, fresh_address()), 429, code="too_many_attempts")
    assert try_it(kind, other, fresh_address()).status_code != 429


def assert_address_is_limited(server: Process, kind: str) -> None:
    address = fresh_address()
    *first, last = people(server, PER_ADDRESS + 1)
    for person in first:
        assert try_it(kind, person, address).status_code not in (429, 500, 503)
    assert_problem(try_it(kind, last, address), 429, code="too_many_attempts")
    assert try_it(kind, last, fresh_address()).status_code != 429


@pytest.mark.parametrize("kind", sorted(ATTEMPTS))
def test_an_account_is_limited_from_all_addresses(strict_server: Process, kind: str) -> None:
    assert_account_is_limited(strict_server, kind)


@pytest.mark.parametrize("kind", sorted(ATTEMPTS))
def test_an_address_is_limited_for_all_accounts(strict_server: Process, kind: str) -> None:
    assert_address_is_limited(strict_server, kind)


@pytest.mark.parametrize("kind", WITHOUT_REDIS)
def test_the_limits_hold_without_redis(strict_lonely_server: Process, kind: str) -> None:
    assert_account_is_limited(strict_lonely_server, kind)
    assert_address_is_limited(strict_lonely_server, kind)


def opened(server: Process, address: str, *, token: str, path: str = "/ws/live") -> LiveSocket:
    return LiveSocket(server.url, path=path, headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": address})


def close_code(server: Process, address: str, *, token: str, path: str = "/ws/live") -> int:
    with opened(server, address, token=token, path=path) as live:
        return live.close_code()


@pytest.mark.parametrize("which", ["strict_server", "strict_lonely_server"])
def test_bad_handshakes_block_an_address(which: str, request: pytest.FixtureRequest, alice: Person) -> None:
    server: Process = request.getfixturevalue(which)
    address = fresh_address()
    for _ in range(PER_ADDRESS):
        assert close_code(server, address, token="wst_nonsense") == 4401
    assert close_code(server, address, token="wst_nonsense") == 4429
    assert close_code(server, address, token=alice.token) == 4429
    with opened(server, fresh_address(), token=alice.token) as live:
        assert live.next()["type"] == "welcome"


def test_sockets_for_foreign_devices_block_an_account(
    strict_server: Process, alice: Person, charlie: Person, device: str
) -> None:
    path = f"/ws/live/{device}"
    for _ in range(PER_ACCOUNT):
        assert close_code(strict_server, fresh_address(), token=charlie.token, path=path) == 4403
    assert close_code(strict_server, fresh_address(), token=charlie.token, path=path) == 4429
    assert close_code(strict_server, fresh_address(), token=charlie.token) == 4429
    with opened(strict_server, fresh_address(), token=alice.token, path=path) as live:
        assert live.next()["type"] == "welcome"


def test_good_handshakes_are_not_counted(strict_server: Process, alice: Person) -> None:
    address = fresh_address()
    for _ in range(PER_ADDRESS + PER_ACCOUNT + 1):
        with opened(strict_server, address, token=alice.token) as live:
            assert live.next()["type"] == "welcome"


def test_forwarded_addresses_of_clients_are_ignored(anonymous: httpx.Client, alice: Person) -> None:
    """The ordinary server trusts no proxy and ignores forwarded addresses."""
    anonymous.post(
        "/api/auth/login",
        json={"username": alice.username, "password": alice.password},
        headers={"X-Forwarded-For": "203.0.113.9"},
    )
    entry = alice.http.get("/api/auth/audit").json()["entries"][0]
    assert (entry["event"], entry["address"]) == ("login", "127.0.0.1")
