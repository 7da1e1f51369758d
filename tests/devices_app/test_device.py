"""PATCH and DELETE /api/devices/{device_id}."""

from __future__ import annotations

import pytest

from devices_app.models import Device
from testing.cast import Person, device_share
from tests.auth_app.answers import assert_problem
from tests.devices_app.answers import assert_forbidden_alike

URL = "/api/devices"


def test_the_owner_changes_name_and_zone(alice: Person, device: str) -> None:
    answer = alice.http.patch(f"{URL}/{device}", json={"name": "roof", "timezone": "Europe/Berlin", "owner": "x"})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["timezone"]) == ("roof", "Europe/Berlin")
    assert alice.http.get(f"{URL}/{device}").json() == answer.json()


def test_omitted_fields_are_unchanged(alice: Person, device: str) -> None:
    alice.http.patch(f"{URL}/{device}", json={"name": "roof"})
    alice.http.patch(f"{URL}/{device}", json={"timezone": "Asia/Tokyo"})
    seen = alice.http.patch(f"{URL}/{device}", json={}).json()
    assert (seen["name"], seen["timezone"]) == ("roof", "Asia/Tokyo")
    assert alice.http.patch(f"{URL}/{device}", json={"name": ""}).json()["name"] == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": None}, "timezone"),
        ({"name": 5}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u0000"}, "name"),
    ],
)
def test_an_invalid_field_is_named(alice: Person, device: str, body: dict[str, object], field: str) -> None:
    assert_problem(alice.http.patch(f"{URL}/{device}", json=body), 400, naming=f"{field}: ")


def test_viewers_can_read_but_not_change(bob: Person, device: str) -> None:
    device_share(device, bob)
    assert_problem(bob.http.patch(f"{URL}/{device}", json={"name": "mine"}), 403, code="owner_only")
    assert_problem(bob.http.delete(f"{URL}/{device}"), 403, code="owner_only")
    assert bob.http.get(f"{URL}/{device}").json()["name"] == ""


def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, device: str) -> None:
    urls = (f"{URL}/{device}", f"{URL}/ems_nowhere", f"{URL}/a%00b")
    for body in ({"name": "mine"}, {"name": 5}):
        assert_forbidden_alike(*(charlie.http.patch(url, json=body) for url in urls))
    assert_forbidden_alike(*(charlie.http.delete(url) for url in urls))
    assert Device.objects.get(device_id=device).owner is not None


def test_a_released_device_is_visible_to_no_user(alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    assert alice.http.delete(f"{URL}/{device}").status_code == 204
    unknown = alice.http.get(f"{URL}/ems_nowhere")
    assert_forbidden_alike(alice.http.get(f"{URL}/{device}"), bob.http.get(f"{URL}/{device}"), unknown)
    assert not Device.objects.get(device_id=device).grants.exists()
