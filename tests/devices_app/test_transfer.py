"""POST /api/devices/{device_id}/transfer."""

from __future__ import annotations

import pytest

from testing.cast import Person, device_share
from tests.auth_app.answers import assert_problem
from tests.devices_app.answers import assert_forbidden_alike


def url(device: str) -> str:
    return f"/api/devices/{device}/transfer"


def test_the_new_owner_gets_no_old_shares(alice: Person, bob: Person, charlie: Person, device: str) -> None:
    device_share(device, bob)
    device_share(device, charlie)
    assert alice.http.post(url(device), json={"username": bob.username}).status_code == 204
    assert bob.http.get(f"/api/devices/{device}").json()["role"] == "owner"
    assert bob.http.get(f"/api/devices/{device}/shares").json() == []
    assert_forbidden_alike(*(person.http.get(f"/api/devices/{device}") for person in (alice, charlie)))


@pytest.mark.parametrize("body", [{}, {"username": "nobody_here"}, {"username": 5}, {"username": "a\u0000"}])
def test_invalid_users_are_refused(alice: Person, device: str, body: dict[str, object]) -> None:
    assert_problem(alice.http.post(url(device), json=body), 400, naming="username: ")


def test_a_transfer_to_the_owner_is_refused(alice: Person, device: str) -> None:
    assert_problem(alice.http.post(url(device), json={"username": alice.username}), 400, naming="username: ")


def test_viewers_are_refused(bob: Person, device: str) -> None:
    device_share(device, bob)
    assert_problem(bob.http.post(url(device), json={"username": bob.username}), 403, code="owner_only")


def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, device: str) -> None:
    body = {"username": charlie.username}
    assert_forbidden_alike(*(charlie.http.post(url(d), json=body) for d in (device, "ems_nowhere")))
