"""A foreign device and a nonexistent one are indistinguishable: by the response and by the work of the server.

Noise makes measured times useless. The test counts the expensive steps instead: statements and password hashes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import crypto

from auth_app.services import user_authenticate
from core.errors import Forbidden, Unauthorized
from devices_app import services
from devices_app.access import access_of
from testing.cast import Person
from testing.process import Process
from testing.socket import LiveSocket
from tests.devices_app.answers import assert_forbidden_alike

UNKNOWN = "ems_nowhere"
# Every route with a device id. `D`: the device.
HOT: list[tuple[str, str, Any]] = [
    ("GET", "/api/history/D", None),
    ("GET", "/api/history/D?range=nonsense", None),
    ("GET", "/api/history/D/export?range=1h", None),
    ("GET", "/api/energy/D", None),
    ("GET", "/api/latest?devices=D", None),
    ("GET", "/api/stream?devices=D", None),
    ("POST", "/api/history/query", {"devices": ["D"], "range": "1h"}),
]
COLD: list[tuple[str, str, Any]] = [
    ("GET", "/api/devices/D", None),
    ("PATCH", "/api/devices/D", {"name": "mine"}),
    ("PATCH", "/api/devices/D", {"name": 5}),
    ("DELETE", "/api/devices/D", None),
    ("GET", "/api/devices/D/shares", None),
    ("POST", "/api/devices/D/shares", {"username": "charlie"}),
    ("POST", "/api/devices/D/shares", {}),
    ("DELETE", "/api/devices/D/shares/charlie", None),
    ("DELETE", "/api/devices/D/shares/me", None),
    ("POST", "/api/devices/D/transfer", {"username": "charlie"}),
    ("GET", "/api/devices/D/audit", None),
    ("GET", "/api/devices/D/audit?limit=x", None),
]
CLAIM = ("POST", "/api/devices/claim", {"device_id": "D", "claim_code": "WRONG"})


def put_in(device: str, url: str, body: Any) -> tuple[str, Any]:
    filled = None if body is None else json.loads(json.dumps(body).replace('"D"', f'"{device}"'))
    return url.replace("/D", f"/{device}").replace("=D", f"={device}"), filled


def statements(work: Callable[[], object]) -> list[str]:
    """Return the statements sent to the accounts database, without values."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split(" WHERE ")[0] for query in captured.captured_queries]


def test_every_device_route_is_listed() -> None:
    """A new route must be added to the lists above."""
    from django.urls import get_resolver

    def routes(patterns: Any, prefix: str = "") -> list[str]:
        found: list[str] = []
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            found += routes(pattern.url_patterns, path) if hasattr(pattern, "url_patterns") else [path]
        return found

    listed = {put_in("<str:device_id>", url, None)[0].partition("?")[0] for _, url, _ in HOT + COLD}
    listed = {url.replace("shares/charlie", "shares/<str:username>") for url in listed}
    taking = {f"/{path}" for path in routes(get_resolver().url_patterns) if "device_id" in path}
    assert taking <= listed


@pytest.mark.parametrize(("method", "url", "body"), HOT + COLD)
def test_responses_are_identical(charlie: Person, device: str, method: str, url: str, body: Any) -> None:
    answers = []
    for asked in (device, UNKNOWN):
        path, filled = put_in(asked, url, body)
        answers.append(charlie.http.request(method, path, json=filled))
    assert_forbidden_alike(*answers)
    assert device not in answers[0].text


def test_refused_claims_are_identical(charlie: Person, device: str) -> None:
    method, url, body = CLAIM
    answers = [charlie.http.request(method, url, json=put_in(asked, url, body)[1]) for asked in (device, UNKNOWN)]
    assert_forbidden_alike(*answers, code="claim_refused")


def test_sockets_are_closed_identically(server: Process, charlie: Person, device: str) -> None:
    ends = set()
    for asked in (device, UNKNOWN):
        with LiveSocket(server.url, person=charlie, path=f"/ws/live/{asked}") as live:
            ends.add((live.close_code(), live.close_reason(), len(live.frames)))
    assert len(ends) == 1
    with LiveSocket(server.url, person=charlie) as live:
        refusals = []
        for asked in (device, UNKNOWN):
            live.subscribe(asked)
            refusals.append(live.until_type("error"))
    assert refusals[0]["message"].replace(device, UNKNOWN) == refusals[1]["message"]
    assert refusals[0]["code"] == refusals[1]["code"] == "forbidden"


def test_hot_routes_send_the_same_statements(charlie: Person, device: str) -> None:
    """All of them query with `access_of` only."""
    asked = [statements(lambda one=one: access_of(charlie.user.pk, [one])) for one in (device, UNKNOWN)]  # type: ignore[misc]
    assert asked[0] == asked[1] != []


@pytest.mark.parametrize(("method", "url", "body"), [*COLD, CLAIM])
def test_cold_routes_send_the_same_statements(charlie: Person, device: str, method: str, url: str, body: Any) -> None:
    client = Client(headers={"Host": "localhost", "Authorization": f"Bearer {charlie.token}"})

    def ask(asked: str) -> list[str]:
        path, filled = put_in(asked, url, body)
        sent = "" if filled is None else json.dumps(filled)
        return statements(lambda: client.generic(method, path, sent, content_type="application/json"))

    asked = ask(device)
    assert asked == ask(UNKNOWN) != []
    assert not any(sql.startswith(("INSERT", "UPDATE", "DELETE")) for sql in asked), "a refusal writes nothing"


def test_a_claim_compares_codes_even_for_an_unknown_device(
    charlie: Person, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def watched(one: str, other: str) -> bool:
        compared.append(len(other))
        return crypto.constant_time_compare(one, other)

    monkeypatch.setattr(services, "constant_time_compare", watched)
    for asked in (device, UNKNOWN):
        with pytest.raises(Forbidden):
            services.device_claim(user=charlie.user, address="192.0.2.1", device_id=asked, claim_code="WRONG")
    assert compared == [64, 64]


def test_a_login_hashes_once_even_for_an_unknown_user(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost is also the same: Django's hasher has one set of parameters."""
    hashed: list[str] = []
    for name in ("encode", "verify"):
        original = getattr(Argon2PasswordHasher, name)

        def watched(self: Any, *args: Any, _original: Any = original, _name: str = name, **kwargs: Any) -> Any:
            hashed.append(_name)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(Argon2PasswordHasher, name, watched)

    def work(username: str) -> tuple[int, list[str]]:
        hashed.clear()

        def fail() -> None:
            with pytest.raises(Unauthorized):
                user_authenticate(username=username, password="wrong", address="192.0.2.1")

        asked = statements(fail)
        return len(hashed), asked

    for_somebody, for_nobody = work(alice.username), work(f"not_{alice.username}")
    assert for_somebody == for_nobody
    assert for_somebody[0] == 1
