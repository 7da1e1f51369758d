"""POST /api/devices/claim."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.conf import settings

from devices_app.models import Device
from devices_app.services import device_provision
from testing.cast import Person, device_share
from tests.auth_app.answers import assert_problem

URL = "/api/devices/claim"


@pytest.fixture
def unclaimed() -> tuple[str, str]:
    """The id of a device without an owner, and its claim code."""
    device, code = device_provision(device_id=f"new_{secrets.token_hex(4)}", name="garage")
    return device.device_id, code


def claim(person: Person, device_id: str, code: str) -> httpx.Response:
    return person.http.post(URL, json={"device_id": device_id, "claim_code": code})


def test_a_valid_code_makes_the_user_the_owner(alice: Person, unclaimed: tuple[str, str]) -> None:
    answer = claim(alice, *unclaimed)
    assert answer.status_code == 201
    assert answer.json()["role"] == "owner"
    assert answer.json()["name"] == "garage"
    assert alice.http.get(f"/api/devices/{unclaimed[0]}").status_code == 200


def test_the_code_may_contain_common_typing_variants(alice: Person, unclaimed: tuple[str, str]) -> None:
    device_id, code = unclaimed
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert claim(alice, device_id, typed).status_code == 201


def test_the_code_is_stored_as_a_hash_and_valid_once(alice: Person, unclaimed: tuple[str, str]) -> None:
    device_id, code = unclaimed
    stored = Device.objects.get(device_id=device_id).claim_digest
    assert len(stored) == 64
    assert code not in stored
    claim(alice, device_id, code)
    alice.http.delete(f"/api/devices/{device_id}")
    assert_problem(claim(alice, device_id, code), 403, code="claim_refused")


def test_all_refusals_are_identical(alice: Person, charlie: Person, device: str, unclaimed: tuple[str, str]) -> None:
    device_id, code = unclaimed
    answers = [
        claim(charlie, device_id, "WRONG-WRONG-WRONG-WRONG"),
        claim(charlie, "ems_nowhere", code),
        claim(charlie, device, code),
        claim(alice, device, code),
    ]
    for answer in answers:
        assert_problem(answer, 403, code="claim_refused")
    assert len({answer.content for answer in answers}) == 1


def test_a_device_without_a_code_cannot_be_claimed(charlie: Person) -> None:
    device = Device.objects.create(device_id=f"bare_{secrets.token_hex(4)}")
    for code in ("-", "-" * 64, " "):
        assert charlie.http.post(URL, json={"device_id": device.device_id, "claim_code": code}).status_code in (
            400,
            403,
        )


def test_the_new_owner_gets_no_old_shares(alice: Person, bob: Person, unclaimed: tuple[str, str]) -> None:
    device_share(unclaimed[0], bob)
    claim(alice, *unclaimed)
    assert_problem(bob.http.get(f"/api/devices/{unclaimed[0]}"), 403)


def test_one_of_many_concurrent_claims_succeeds(
    alice: Person, bob: Person, charlie: Person, unclaimed: tuple[str, str]
) -> None:
    with ThreadPoolExecutor(3) as pool:
        statuses = list(pool.map(lambda person: claim(person, *unclaimed).status_code, (alice, bob, charlie)))
    assert sorted(statuses) == [201, 403, 403]


def test_guessing_is_limited(charlie: Person, unclaimed: tuple[str, str]) -> None:
    for _ in range(settings.CLAIM_FAILURES_PER_USER):
        assert_problem(claim(charlie, unclaimed[0], "WRONG"), 403)
    assert_problem(claim(charlie, *unclaimed), 429)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"claim_code": "X"}, "device_id"),
        ({"device_id": "a b", "claim_code": "X"}, "device_id"),
        ({"device_id": "x" * 65, "claim_code": "X"}, "device_id"),
        ({"device_id": 5, "claim_code": "X"}, "device_id"),
        ({"device_id": "a", "claim_code": None}, "claim_code"),
        ({"device_id": "a", "claim_code": "x" * 65}, "claim_code"),
        ({"device_id": "a", "claim_code": "a\u0000"}, "claim_code"),
    ],
)
def test_an_invalid_field_is_named(alice: Person, body: dict[str, object], field: str) -> None:
    assert_problem(alice.http.post(URL, json=body), 400, naming=f"{field}: ")


def test_anonymous_requests_are_refused(anonymous: httpx.Client, unclaimed: tuple[str, str]) -> None:
    assert_problem(anonymous.post(URL, json={"device_id": unclaimed[0], "claim_code": unclaimed[1]}), 401)
