"""Scopes of API keys: a key has its scopes only, and never replaces a password."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from auth_app.models import AccessToken
from auth_app.scopes import TokenScope, scopes_of_text, scopes_text
from testing.cast import Person
from testing.process import Process
from testing.socket import LiveSocket
from tests.auth_app.answers import assert_problem

KEYS = "/api/auth/tokens"
# Every route by the scope that it requires. `D`: the device.
READING = [
    ("GET", "/api/auth/me"),
    ("GET", KEYS),
    ("GET", "/api/devices"),
    ("GET", "/api/devices/D"),
    ("GET", "/api/transfers"),
    ("GET", "/api/devices/D/shares"),
    ("GET", "/api/history/D"),
    ("GET", "/api/history/D/export?range=1h"),
    ("POST", "/api/history/query"),
    ("GET", "/api/latest"),
    ("GET", "/api/energy/D"),
    ("GET", "/api/metrics"),
]
LIVE = [("POST", "/api/auth/ws-ticket")]
MANAGING = [
    ("POST", "/api/devices/claim"),
    ("PATCH", "/api/devices/D"),
    ("DELETE", "/api/devices/D"),
    ("POST", "/api/devices/D/shares"),
    ("DELETE", "/api/devices/D/shares/nobody"),
    ("POST", "/api/devices/D/transfer"),
    ("POST", "/api/transfers/1/accept"),
    ("DELETE", "/api/transfers/1"),
    ("GET", "/api/devices/D/audit"),
]
NEVER = [
    ("POST", KEYS),
    ("DELETE", f"{KEYS}/1"),
    ("POST", "/api/auth/password"),
    ("GET", "/api/auth/audit"),
    ("GET", "/api/auth/sessions"),
    ("DELETE", "/api/auth/sessions"),
    ("DELETE", "/api/auth/sessions/1"),
]
BODIES = {"/api/history/query": {"devices": ["D"], "range": "1h"}}


@pytest.fixture
def key(server: Process, alice: Person) -> Iterator[httpx.Client]:
    """A client without a key; `with_scopes` gives it one of alice's."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def with_scopes(client: httpx.Client, person: Person, *scopes: str) -> None:
    made = person.http.post(KEYS, json={"name": "k", **({"scopes": list(scopes)} if scopes else {})})
    assert made.status_code == 201, made.text
    client.headers["Authorization"] = f"Bearer {made.json()['token']}"


def ask(client: httpx.Client, method: str, url: str, device: str) -> httpx.Response:
    body = BODIES.get(url, {})
    if "devices" in body:
        body = {**body, "devices": [device]}
    return client.request(method, url.replace("/D", f"/{device}"), json=body if method in {"POST", "PATCH"} else None)


def shown(client: httpx.Client) -> dict[str, str]:
    return {"Authorization": client.headers["Authorization"]}


def assert_lacks(answer: httpx.Response, scope: str) -> None:
    assert_problem(answer, 403, code="insufficient_scope", naming=f"scope {scope}")
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'


def test_a_key_lists_its_scopes(alice: Person) -> None:
    assert alice.http.post(KEYS, json={"name": "k"}).json()["scopes"] == ["read", "live"]
    told = alice.http.post(KEYS, json={"name": "k", "scopes": ["manage", "read", "read"]}).json()
    assert told["scopes"] == ["read", "manage"]
    assert [one["scopes"] for one in alice.http.get(KEYS).json()] == [["read", "manage"], ["read", "live"]]


@pytest.mark.parametrize("scopes", [[], ["write"], ["account"], "read", [5], [None], None, {"read": True}])
def test_an_invalid_scope_is_named(alice: Person, scopes: object) -> None:
    assert_problem(alice.http.post(KEYS, json={"name": "k", "scopes": scopes}), 400, naming="scopes: ")


def test_a_read_key_can_only_read(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "read")
    for method, url in READING:
        assert ask(key, method, url, device).status_code == 200, url
    for method, url in LIVE:
        assert_lacks(ask(key, method, url, device), "live")
    for method, url in MANAGING:
        assert_lacks(ask(key, method, url, device), "manage")


def test_an_event_stream_needs_live(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "read")
    assert_lacks(key.get("/api/stream", params={"devices": device}), "live")
    with_scopes(key, alice, "live")
    with key.stream("GET", "/api/stream", params={"devices": device}) as answer:
        assert answer.status_code == 200


def test_a_live_key_can_only_get_tickets(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "live")
    for method, url in LIVE:
        assert ask(key, method, url, device).status_code == 200, url
    for method, url in READING:
        assert_lacks(ask(key, method, url, device), "read")


def test_a_manage_key_can_only_manage(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "manage")
    for method, url in MANAGING:
        if method != "DELETE":
            expected = (404,) if "transfers" in url else (200, 400)
            assert ask(key, method, url, device).status_code in expected, url
    assert ask(key, "DELETE", "/api/devices/D", device).status_code == 204
    assert_lacks(key.get("/api/devices"), "read")


def test_a_key_without_explicit_scopes_has_read_and_live(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice)
    for method, url in READING + LIVE:
        assert ask(key, method, url, device).status_code == 200, url
    for method, url in MANAGING:
        assert_lacks(ask(key, method, url, device), "manage")


def test_routes_for_passwords_refuse_keys(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "read", "live", "manage")
    for method, url in NEVER:
        assert_problem(ask(key, method, url, device), 403, code="api_key_not_accepted")


def test_a_key_of_any_scope_can_revoke_itself(key: httpx.Client, alice: Person) -> None:
    with_scopes(key, alice, "live")
    assert key.post("/api/auth/logout").status_code == 204
    assert_problem(key.get("/api/devices"), 401)


def test_a_missing_scope_is_reported_equally_for_all_devices(key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "live")
    answers = [key.get(f"/api/history/{asked}") for asked in (device, "ems_nowhere")]
    assert len({answer.content for answer in answers}) == 1
    assert_lacks(answers[0], "read")


@pytest.mark.parametrize("path", ["/ws/live", "/ws/live/D"])
def test_sockets_need_live(server: Process, key: httpx.Client, alice: Person, device: str, path: str) -> None:
    with_scopes(key, alice, "read", "manage")
    with LiveSocket(server.url, path=path.replace("/D", f"/{device}"), headers=shown(key)) as live:
        assert live.close_code() == 4403
        assert live.frames == []
        assert "scope live" in live.close_reason()
    with_scopes(key, alice, "live")
    with LiveSocket(server.url, path=path.replace("/D", f"/{device}"), headers=shown(key)) as live:
        assert live.next()["type"] == "welcome"


def test_deleting_a_key_closes_its_sockets(server: Process, alice: Person) -> None:
    made = alice.http.post(KEYS, json={"name": "k"}).json()
    with LiveSocket(server.url, headers={"Authorization": f"Bearer {made['token']}"}) as live:
        live.until_type("welcome")
        alice.http.delete(f"{KEYS}/{made['id']}")
        assert live.close_code() == 4401


def test_a_ticket_has_the_scopes_of_its_key(server: Process, key: httpx.Client, alice: Person, device: str) -> None:
    with_scopes(key, alice, "live")
    ticket = key.post("/api/auth/ws-ticket").json()["ticket"]
    AccessToken.objects.filter(user=alice.user, kind="api_key").update(scopes="read")
    with LiveSocket(server.url, subprotocols=["wattstream.v1", f"ticket.{ticket}"]) as live:
        assert live.close_code() == 4403


def test_an_unknown_stored_scope_grants_nothing() -> None:
    assert scopes_of_text("live admin account") == {TokenScope.LIVE}
    assert scopes_text([TokenScope.MANAGE, TokenScope.READ, TokenScope.READ, TokenScope.ACCOUNT]) == "read manage"
