"""GET and POST /api/devices/{device_id}/shares, DELETE …/shares/{username}."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from auth_app.services import user_disable
from devices_app.models import Grant
from testing.cast import Person, device_share
from tests.auth_app.answers import assert_problem
from tests.devices_app.answers import assert_forbidden_alike


def url(device: str, username: str = "") -> str:
    return f"/api/devices/{device}/shares" + (f"/{username}" if username else "")


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_share_gives_a_guest_access(alice: Person, bob: Person, device: str) -> None:
    answer = alice.http.post(url(device), json={"username": bob.username, "role": "viewer"})
    assert answer.status_code == 201
    share = answer.json()
    assert (share["username"], share["role"], share["expires_at"]) == (bob.username, "viewer", None)
    assert alice.http.get(url(device)).json() == [share]
    assert bob.http.get(f"/api/devices/{device}").json()["role"] == "viewer"


def test_sharing_again_changes_the_end(alice: Person, bob: Person, device: str) -> None:
    alice.http.post(url(device), json={"username": bob.username})
    expires_at = in_an_hour()
    answer = alice.http.post(url(device), json={"username": bob.username, "expires_at": expires_at})
    assert answer.status_code == 201
    assert [share["expires_at"] for share in alice.http.get(url(device)).json()] == [expires_at]
    assert Grant.objects.filter(user=bob.user).count() == 1


def test_a_removed_share_ends_the_access_of_the_guest(alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    assert alice.http.delete(url(device, bob.username)).status_code == 204
    assert_problem(bob.http.get(f"/api/devices/{device}"), 403)
    assert alice.http.get(url(device)).json() == []


def test_removing_a_share_is_idempotent(alice: Person, device: str) -> None:
    for name in ("nobody_here", "a%00b"):
        assert alice.http.delete(url(device, name)).status_code == 204


def test_only_active_shares_are_listed(alice: Person, bob: Person, device: str) -> None:
    grant = device_share(device, bob)
    grant.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    grant.save()
    assert alice.http.get(url(device)).json() == []


def test_invalid_users_are_refused(alice: Person, bob: Person, device: str) -> None:
    user_disable(user=bob.user)
    for name in ("nobody_here", alice.username, bob.username):
        assert_problem(alice.http.post(url(device), json={"username": name}), 400, naming="username: ")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": None}, "username"),
        ({"username": "a\u0000"}, "username"),
        ({"role": "owner"}, "role"),
        ({"role": ["viewer"]}, "role"),
        ({"role": None}, "role"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59.999999Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "expires_at"),
        ({"expires_at": 1e300}, "expires_at"),
    ],
)
def test_an_invalid_field_is_named(
    alice: Person, bob: Person, device: str, changes: dict[str, object], field: str
) -> None:
    answer = alice.http.post(url(device), json={"username": bob.username, **changes})
    assert_problem(answer, 400, naming=f"{field}: ")
    assert alice.http.get(url(device)).json() == []


def test_viewers_cannot_read_or_change_shares(bob: Person, charlie: Person, device: str) -> None:
    device_share(device, bob)
    assert_problem(bob.http.get(url(device)), 403, code="owner_only")
    assert_problem(bob.http.post(url(device), json={"username": charlie.username}), 403, code="owner_only")
    assert_problem(bob.http.delete(url(device, bob.username)), 403, code="owner_only")


def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, bob: Person, device: str) -> None:
    devices = (device, "ems_nowhere")
    assert_forbidden_alike(*(charlie.http.get(url(d)) for d in devices))
    assert_forbidden_alike(*(charlie.http.post(url(d), json={"username": bob.username}) for d in devices))
    assert_forbidden_alike(*(charlie.http.post(url(d), json={"role": 5}) for d in devices))
    assert_forbidden_alike(*(charlie.http.delete(url(d, bob.username)) for d in devices))


def test_anonymous_requests_are_refused(anonymous: httpx.Client, device: str) -> None:
    assert_problem(anonymous.get(url(device)), 401)


def test_a_grant_until_the_end_of_time_does_not_break_the_list(alice: Person, bob: Person, device: str) -> None:
    """The admin can store one."""
    grant = device_share(device, bob)
    Grant.objects.filter(pk=grant.pk).update(expires_at=datetime.max.replace(tzinfo=UTC))
    (seen,) = bob.http.get("/api/devices").json()
    assert seen["expires_at"].startswith("9999-12-31T")
    assert alice.http.get(url(device)).status_code == 200


def test_a_viewer_can_leave(alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    assert bob.http.delete(url(device, "me")).status_code == 204
    assert bob.http.get("/api/devices").json() == []
    assert alice.http.get(url(device)).json() == []
    assert_problem(bob.http.delete(url(device, "me")), 403)


def test_the_owner_has_no_share_to_give_up(alice: Person, device: str) -> None:
    assert_problem(alice.http.delete(url(device, "me")), 403, code="viewer_only")


def test_the_name_of_a_guest_is_compared_without_case(alice: Person, bob: Person, device: str) -> None:
    assert alice.http.post(url(device), json={"username": bob.username.upper()}).json()["username"] == bob.username
    assert alice.http.delete(url(device, bob.username.upper())).status_code == 204
    assert alice.http.get(url(device)).json() == []
