"""manage.py provision_device."""

from __future__ import annotations

import re
import secrets

import pytest

from devices_app.models import Device
from telemetry.keys import is_key_of
from testing.cast import Person
from testing.stack import Stack, manage

PRINTED = re.compile(r"device key: (wsd_\S+)\nclaim code: ([0-9A-Z]{5}(?:-[0-9A-Z]{5}){3})\n")


def new_id() -> str:
    return f"prov_{secrets.token_hex(4)}"


def provision(stack: Stack, *arguments: str) -> tuple[str, str]:
    """Return the printed device key and claim code."""
    printed = PRINTED.fullmatch(manage(stack.env, "provision_device", *arguments))
    assert printed is not None
    return printed[1], printed[2]


def refused(stack: Stack, *arguments: str) -> str:
    with pytest.raises(AssertionError) as failure:
        manage(stack.env, "provision_device", *arguments)
    return str(failure.value)


def claims(person: Person, device_id: str, code: str) -> int:
    return person.http.post("/api/devices/claim", json={"device_id": device_id, "claim_code": code}).status_code


def test_the_printed_key_and_code_work(stack: Stack, alice: Person) -> None:
    device_id = new_id()
    key, code = provision(stack, device_id, "--name", "roof")
    assert is_key_of(stack.env["INGEST_SECRET"], device_id, key)
    assert claims(alice, device_id, code) == 201
    assert alice.http.get(f"/api/devices/{device_id}").json()["name"] == "roof"


def test_with_an_owner_the_code_is_valid_after_the_release(stack: Stack, alice: Person, bob: Person) -> None:
    device_id = new_id()
    _, code = provision(stack, device_id, "--owner", alice.username)
    assert alice.http.get(f"/api/devices/{device_id}").json()["role"] == "owner"
    assert claims(bob, device_id, code) == 403
    alice.http.delete(f"/api/devices/{device_id}")
    assert claims(bob, device_id, code) == 201


def test_a_new_code_voids_the_old_one(stack: Stack, alice: Person) -> None:
    device_id = new_id()
    key, old = provision(stack, device_id)
    assert provision(stack, device_id, "--reissue")[0] == key
    _, new = provision(stack, device_id, "--reissue")
    assert [claims(alice, device_id, code) for code in (old, new)] == [403, 201]


def test_a_released_device_can_be_claimed_with_a_new_code(
    stack: Stack, alice: Person, bob: Person, device: str
) -> None:
    alice.http.delete(f"/api/devices/{device}")
    assert claims(bob, device, provision(stack, device, "--reissue")[1]) == 201


def test_refusals_are_explained(stack: Stack, device: str) -> None:
    assert "--reissue" in refused(stack, device)
    assert "1 to 64" in refused(stack, "a b")
    assert "route" in refused(stack, "claim")
    assert "nobody" in refused(stack, new_id(), "--owner", "nobody_here")
    assert "not registered" in refused(stack, new_id(), "--reissue")
    assert "admin" in refused(stack, device, "--reissue", "--name", "x")


def test_without_the_secret_no_device_is_registered(stack: Stack) -> None:
    device_id = new_id()
    with pytest.raises(AssertionError, match="INGEST_SECRET is not set"):
        manage({**stack.env, "INGEST_SECRET": ""}, "provision_device", device_id)
    assert not Device.objects.filter(device_id=device_id).exists()
