"""GET /api/devices/{device_id}/audit: the history of a device, for its owner at that time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from auth_app.models import AuditEntry
from devices_app.models import Device, Grant
from devices_app.services import device_provision
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_share
from testing.process import Process
from testing.socket import LiveSocket
from testing.waiting import wait_until
from tests.auth_app.answers import assert_problem, browser, csrf_field
from tests.devices_app.answers import assert_forbidden_alike

Entry = dict[str, Any]


def url(device: str) -> str:
    return f"/api/devices/{device}/audit"


def entries(owner: Person, device: str) -> list[Entry]:
    answer = owner.http.get(url(device))
    assert answer.status_code == 200, answer.text
    found: list[Entry] = answer.json()["entries"]
    return found


def told(owner: Person, device: str) -> list[tuple[str, str, str]]:
    return [(entry["event"], entry["user"], entry["detail"]) for entry in entries(owner, device)]


def denials(owner: Person, device: str) -> dict[tuple[str, str], int]:
    """Return the number of refusals by user and detail."""
    found: dict[tuple[str, str], int] = {}
    for entry in entries(owner, device):
        if entry["event"] == "denied":
            assert entry["address"] == "127.0.0.1"
            key = (entry["user"], entry["detail"])
            found[key] = found.get(key, 0) + entry["count"]
    return found


def test_claim_share_and_release_have_entries(alice: Person, bob: Person) -> None:
    device, code = device_provision(device_id=f"ems_{secrets.token_hex(5)}")
    alice.http.post("/api/devices/claim", json={"device_id": device.device_id, "claim_code": code})
    shares = f"/api/devices/{device.device_id}/shares"
    alice.http.post(shares, json={"username": bob.username})
    until = iso_from_us((int(time.time()) + 86_400) * SECOND_US)
    alice.http.post(shares, json={"username": bob.username, "expires_at": until})
    alice.http.delete(f"{shares}/{bob.username}")
    alice.http.delete(f"{shares}/{bob.username}")  # changes nothing, so it adds no entry
    assert told(alice, device.device_id) == [
        ("unshared", alice.username, f"with {bob.username}"),
        ("shared", alice.username, f"with {bob.username} until {until}"),
        ("shared", alice.username, f"with {bob.username}"),
        ("claimed", alice.username, ""),
    ]
    assert {entry["address"] for entry in entries(alice, device.device_id)} == {"127.0.0.1"}
    assert alice.http.delete(f"/api/devices/{device.device_id}").status_code == 204
    assert alice.http.get("/api/auth/audit").json()["entries"][0]["event"] == "released"


def test_a_new_owner_does_not_see_entries_of_the_previous_owner(alice: Person, bob: Person, device: str) -> None:
    alice.http.post(f"/api/devices/{device}/shares", json={"username": bob.username})
    offered = alice.http.post(f"/api/devices/{device}/transfer", json={"username": bob.username}).json()
    assert bob.http.post(f"/api/transfers/{offered['id']}/accept").status_code == 200
    (entry,) = entries(bob, device)
    assert (entry["event"], entry["user"], entry["detail"]) == ("transferred", bob.username, f"from {alice.username}")
    assert entry["address"] == "127.0.0.1"
    newest = alice.http.get("/api/auth/audit").json()["entries"][0]
    assert (newest["event"], newest["detail"], newest["address"]) == (
        "transferred", f"to {bob.username}", "",
    )  # fmt: skip


def test_an_expired_share_has_an_entry(alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    moment = (timezone.now() - timedelta(minutes=1)).replace(microsecond=0)
    Grant.objects.filter(user=bob.user).update(expires_at=moment)
    wait_until(lambda: told(alice, device), "the end of the share is in the log", deadline_s=40)
    (entry,) = entries(alice, device)
    assert (entry["event"], entry["user"]) == ("share_expired", bob.username)
    assert datetime.fromisoformat(entry["time"]) == moment.astimezone(UTC)
    assert not Grant.objects.filter(user=bob.user).exists()


REFUSED: dict[str, Callable[[httpx.Client, str], object]] = {
    "history: forbidden": lambda http, device: http.get(f"/api/history/{device}"),
    "export: forbidden": lambda http, device: http.get(f"/api/history/{device}/export?range=1h"),
    "energy: forbidden": lambda http, device: http.get(f"/api/energy/{device}"),
    "latest: forbidden": lambda http, device: http.get(f"/api/latest?devices={device}"),
    "histories: forbidden": lambda http, device: http.post("/api/history/query", json={"devices": [device]}),
    "device: forbidden": lambda http, device: http.get(f"/api/devices/{device}"),
    "device-shares: forbidden": lambda http, device: http.get(f"/api/devices/{device}/shares"),
    "device-claim: claim_refused": lambda http, device: http.post(
        "/api/devices/claim", json={"device_id": device, "claim_code": "X"}
    ),
}


def test_the_owner_sees_refusals(server: Process, alice: Person, bob: Person, charlie: Person, device: str) -> None:
    device_share(device, bob)
    for attempt in REFUSED.values():
        attempt(charlie.http, device)
    bob.http.delete(f"/api/devices/{device}")
    with LiveSocket(server.url, person=charlie, path=f"/ws/live/{device}") as live:
        assert live.close_code() == 4403
    with LiveSocket(server.url, person=charlie) as live:
        live.subscribe(device)
        live.until_type("error")
    expected = {(charlie.username, detail): 1 for detail in REFUSED}
    expected |= {(charlie.username, "live: forbidden"): 2, (bob.username, "device: owner_only"): 1}
    wait_until(lambda: denials(alice, device) == expected, f"all refusals: {expected}")


def test_refusals_of_unknown_devices_are_visible_only_in_the_admin(charlie: Person) -> None:
    unknown = f"ems_{secrets.token_hex(5)}"
    for asked in (unknown, "not%20a%20device"):
        assert_problem(charlie.http.get(f"/api/history/{asked}"), 403)
    wait_until(lambda: AuditEntry.objects.filter(user=charlie.user).count() == 2, "both refusals are written")
    written = AuditEntry.objects.filter(user=charlie.user)
    assert set(written.values_list("device_id", flat=True)) == {unknown, ""}
    assert not written.exclude(owner=None).exists()


def test_changes_in_the_admin_have_entries(
    server: Process, alice: Person, bob: Person, charlie: Person, device: str
) -> None:
    charlie.user.is_staff = charlie.user.is_superuser = True
    charlie.user.save()
    row = Device.objects.get(device_id=device)
    with browser(server, charlie) as admin:
        admin.get("/admin/")
        grant = {"device": str(row.pk), "user": str(bob.user.pk), "role": "viewer", **csrf_field(admin)}
        assert admin.post("/admin/devices_app/grant/add/", data=grant).status_code == 302
        gone = f"/admin/devices_app/grant/{Grant.objects.get(user=bob.user).pk}/delete/"
        assert admin.post(gone, data={"post": "yes", **csrf_field(admin)}).status_code == 302
        assert told(alice, device) == [
            ("unshared", charlie.username, f"with {bob.username}, in the admin"),
            ("shared", charlie.username, f"with {bob.username}, in the admin"),
        ]
        form = {"name": "x", "timezone": "UTC", "owner": str(bob.user.pk), **csrf_field(admin)}
        assert admin.post(f"/admin/devices_app/device/{row.pk}/change/", data=form).status_code == 302
    assert told(bob, device) == [("transferred", charlie.username, f"to {bob.username}, in the admin")]


def test_entries_are_paged(alice: Person, bob: Person, device: str) -> None:
    for _ in range(3):
        alice.http.post(f"/api/devices/{device}/shares", json={"username": bob.username})
    first = alice.http.get(url(device), params={"limit": 2}).json()
    second = alice.http.get(url(device), params={"limit": 2, "cursor": first["next_cursor"]}).json()
    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3
    assert second["next_cursor"] is None


@pytest.mark.parametrize("parameters", [{"limit": "0"}, {"cursor": "x"}])
def test_an_invalid_parameter_is_named(alice: Person, device: str, parameters: dict[str, str]) -> None:
    assert_problem(alice.http.get(url(device), params=parameters), 400, naming=f"{next(iter(parameters))}: ")


def test_viewers_are_refused(bob: Person, device: str) -> None:
    device_share(device, bob)
    assert_problem(bob.http.get(url(device)), 403, code="owner_only")


def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, device: str) -> None:
    assert_forbidden_alike(*(charlie.http.get(url(d)) for d in (device, "ems_nowhere")))


def test_anonymous_requests_are_refused(anonymous: httpx.Client, device: str) -> None:
    assert_problem(anonymous.get(url(device)), 401)
