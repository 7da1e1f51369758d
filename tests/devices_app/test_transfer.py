"""POST /api/devices/{device_id}/transfer, GET /api/transfers, POST …/transfers/{id}/accept, DELETE …/transfers/{id}."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devices_app.models import Device
from testing.cast import Person, device_share
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack
from tests.auth_app.answers import assert_problem
from tests.devices_app.answers import assert_forbidden_alike


def url(device: str) -> str:
    return f"/api/devices/{device}/transfer"


def offer(owner: Person, device: str, username: str, **more: Any) -> dict[str, Any]:
    answer = owner.http.post(url(device), json={"username": username, **more})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def waiting(person: Person) -> list[dict[str, Any]]:
    answer = person.http.get("/api/transfers")
    assert answer.status_code == 200
    body: list[dict[str, Any]] = answer.json()
    return body


def test_an_accepted_device_belongs_to_the_new_owner_only(
    alice: Person, bob: Person, charlie: Person, device: str
) -> None:
    device_share(device, charlie)
    offered = offer(alice, device, bob.username)
    assert (offered["device_id"], offered["username"], offered["incoming"]) == (device, bob.username, False)
    (seen,) = waiting(bob)
    assert seen == {**offered, "incoming": True}
    assert (seen["owner"], seen["with_history"]) == (alice.username, False)
    answer = bob.http.post(f"/api/transfers/{seen['id']}/accept")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["device_id"], answer.json()["role"]) == (device, "owner")
    assert bob.http.get(f"/api/devices/{device}/shares").json() == []
    assert_forbidden_alike(*(person.http.get(f"/api/devices/{device}") for person in (alice, charlie)))
    assert waiting(alice) == waiting(bob) == []


def test_nothing_changes_before_acceptance(alice: Person, bob: Person, charlie: Person, device: str) -> None:
    device_share(device, charlie)
    offer(alice, device, bob.username)
    assert alice.http.get(f"/api/devices/{device}").json()["role"] == "owner"
    assert charlie.http.get(f"/api/devices/{device}").json()["role"] == "viewer"
    assert_problem(bob.http.get(f"/api/devices/{device}"), 403)


def test_only_the_named_user_can_accept(alice: Person, bob: Person, charlie: Person, device: str) -> None:
    transfer = offer(alice, device, bob.username)["id"]
    for person in (alice, charlie):
        assert_problem(person.http.post(f"/api/transfers/{transfer}/accept"), 404)
    assert_problem(charlie.http.delete(f"/api/transfers/{transfer}"), 404)
    assert waiting(charlie) == []
    assert bob.http.post(f"/api/transfers/{transfer}/accept").status_code == 200
    assert_problem(bob.http.post(f"/api/transfers/{transfer}/accept"), 404)


@pytest.mark.parametrize("by", ["owner", "recipient"])
def test_a_transfer_is_cancelled_or_declined(alice: Person, bob: Person, device: str, by: str) -> None:
    transfer = offer(alice, device, bob.username)["id"]
    person = alice if by == "owner" else bob
    assert person.http.delete(f"/api/transfers/{transfer}").status_code == 204
    assert_problem(bob.http.post(f"/api/transfers/{transfer}/accept"), 404)
    assert alice.http.get(f"/api/devices/{device}").json()["role"] == "owner"
    newest = alice.http.get(f"/api/devices/{device}/audit").json()["entries"][0]
    how = "cancelled" if by == "owner" else "declined"
    assert (newest["event"], newest["user"]) == ("transfer_ended", person.username)
    assert newest["detail"] == f"to {bob.username}, {how}"


def test_a_second_offer_replaces_the_first(alice: Person, bob: Person, charlie: Person, device: str) -> None:
    first = offer(alice, device, bob.username)["id"]
    second = offer(alice, device, charlie.username)["id"]
    assert_problem(bob.http.post(f"/api/transfers/{first}/accept"), 404)
    assert [one["id"] for one in waiting(alice)] == [second]


def test_an_offer_ends_with_the_ownership(alice: Person, bob: Person, device: str) -> None:
    transfer = offer(alice, device, bob.username)["id"]
    assert alice.http.delete(f"/api/devices/{device}").status_code == 204
    assert_problem(bob.http.post(f"/api/transfers/{transfer}/accept"), 404)
    assert Device.objects.get(device_id=device).owner is None


def test_a_known_and_an_unknown_username_get_the_same_response(alice: Person, bob: Person, device: str) -> None:
    answers = []
    for name in (bob.username.upper(), "NOBODY_HERE"):
        one = offer(alice, device, name)
        assert waiting(alice) == [one]
        assert one["username"] == name
        answers.append({key: value for key, value in one.items() if key not in ("id", "username", "created_at")})
    assert answers[0] == answers[1]
    for entry in alice.http.get(f"/api/devices/{device}/audit").json()["entries"][:2]:
        assert entry["event"] == "transfer_offered"


def test_the_case_of_a_username_does_not_matter(alice: Person, bob: Person, device: str) -> None:
    transfer = offer(alice, device, bob.username.upper())["id"]
    assert bob.http.post(f"/api/transfers/{transfer}/accept").status_code == 200


@pytest.fixture
def strict(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    with server_process({**stack.env, "NAMES_GIVEN_PER_USER": "2"}, tmp_path / "strict.log") as process:
        yield process


def test_usernames_are_counted(strict: Process, alice: Person, device: str) -> None:
    assert alice.http.post(f"{strict.url}{url(device)}", json={"username": "one"}).status_code == 202
    shares = f"{strict.url}/api/devices/{device}/shares"
    assert alice.http.post(shares, json={"username": "two"}).status_code == 400
    assert_problem(alice.http.post(shares, json={"username": "three"}), 429)
    answer = alice.http.post(f"{strict.url}{url(device)}", json={"username": "three"})
    assert_problem(answer, 429)
    assert int(answer.headers["retry-after"]) > 0
    assert waiting(alice)[0]["username"] == "one"


@pytest.mark.parametrize("body", [{}, {"username": 5}, {"username": "a\u0000"}, {"username": "x" * 151}])
def test_an_invalid_username_is_refused(alice: Person, device: str, body: dict[str, object]) -> None:
    assert_problem(alice.http.post(url(device), json=body), 400, naming="username: ")


def test_a_transfer_to_the_owner_is_refused(alice: Person, device: str) -> None:
    assert_problem(alice.http.post(url(device), json={"username": alice.username}), 400, naming="username: ")


def test_viewers_are_refused(bob: Person, device: str) -> None:
    device_share(device, bob)
    assert_problem(bob.http.post(url(device), json={"username": bob.username}), 403, code="owner_only")


def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, device: str) -> None:
    body = {"username": charlie.username}
    assert_forbidden_alike(*(charlie.http.post(url(d), json=body) for d in (device, "ems_nowhere")))
