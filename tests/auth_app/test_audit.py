"""GET /api/auth/audit: a user's actions, and attempts on the user's account; the same in the admin."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from auth_app.models import AuditEntry
from testing.cast import Person
from testing.process import Process
from testing.waiting import wait_until
from tests.auth_app.answers import assert_problem, browser, csrf_field

URL = "/api/auth/audit"
Entry = dict[str, Any]


def entries(person: Person, **parameters: int) -> list[Entry]:
    answer = person.http.get(URL, params=parameters)
    assert answer.status_code == 200, answer.text
    found: list[Entry] = answer.json()["entries"]
    return found


def events(person: Person) -> list[str]:
    return [entry["event"] for entry in entries(person)]


def test_an_entry_has_user_event_time_and_address(alice: Person) -> None:
    key = alice.http.post("/api/auth/tokens", json={"name": "shed", "scopes": ["read"]}).json()
    (entry,) = entries(alice)
    assert entry.pop("id") > 0
    assert abs(int(entry["time"][17:19]) - int(key["created_at"][17:19])) in (0, 1, 59)
    entry.pop("time")
    assert entry == {
        "event": "key_made", "user": alice.username, "device_id": "", "detail": "shed (read)",
        "address": "127.0.0.1", "count": 1,
    }  # fmt: skip


def test_account_events_have_entries(server: Process, anonymous: httpx.Client, alice: Person) -> None:
    login = {"username": alice.username, "password": alice.password}
    token = anonymous.post("/api/auth/login", json=login).json()["token"]
    anonymous.post("/api/auth/logout", headers={"Authorization": f"Bearer {token}"})
    with browser(server, alice) as session:
        session.post("/logout", data=csrf_field(session))
    key = alice.http.post("/api/auth/tokens", json={"name": "shed"}).json()
    alice.http.delete(f"/api/auth/tokens/{key['id']}")
    alice.http.post("/api/auth/password", json={"current_password": alice.password, "new_password": "another-secret"})
    assert events(alice) == [
        "password_changed", "key_revoked", "key_made", "logout", "login", "logout", "login",
    ]  # fmt: skip
    assert [entry["detail"] for entry in entries(alice)][3:] == ["session", "session", "login", "login"]


def test_a_registration_has_an_entry(anonymous: httpx.Client, alice: Person) -> None:
    name = f"new_{alice.username}"
    anonymous.post("/api/auth/register", json={"username": name, "password": "a-long-enough-one"})
    assert AuditEntry.objects.get(username=name).event == "registered"


def test_wrong_passwords_are_counted_in_one_entry(anonymous: httpx.Client, alice: Person) -> None:
    for _ in range(3):
        anonymous.post("/api/auth/login", json={"username": alice.username, "password": "wrong"})

    def failures() -> list[Entry]:
        return [entry for entry in entries(alice) if entry["event"] == "login_failed"]

    wait_until(lambda: sum(entry["count"] for entry in failures()) == 3, "all three failures are in the log")
    assert len(failures()) <= 2  # two if a minute ended in between
    assert failures()[0]["address"] == "127.0.0.1"


def test_unknown_user_names_are_not_stored(anonymous: httpx.Client) -> None:
    """It may be a password that was typed into the wrong field."""
    anonymous.post("/api/auth/login", json={"username": "hunter2-secret-stuff", "password": "wrong"})
    wait_until(lambda: AuditEntry.objects.filter(event="login_failed", user=None).exists(), "the failure is in the log")
    assert not AuditEntry.objects.filter(username__contains="hunter2").exists()


def test_refusals_of_a_key_have_entries(anonymous: httpx.Client, alice: Person) -> None:
    key = alice.http.post("/api/auth/tokens", json={"name": "k", "scopes": ["live"]}).json()["token"]
    for url in ("/api/latest", "/api/devices"):
        anonymous.get(url, headers={"Authorization": f"Bearer {key}"})
    wait_until(lambda: events(alice).count("denied") == 2, "both are in the log")
    details = {entry["detail"] for entry in entries(alice) if entry["event"] == "denied"}
    assert details == {"latest: insufficient_scope", "devices: insufficient_scope"}


def test_a_password_set_in_a_shell_has_an_entry(alice: Person) -> None:
    alice.user.set_password("quite-another-secret")
    alice.user.save()
    entry = AuditEntry.objects.get(user=alice.user)
    assert (entry.event, entry.detail, entry.address) == ("password_changed", "set by an administrator", "")


def test_entries_are_paged_newest_first(alice: Person) -> None:
    for number in range(5):
        alice.http.post("/api/auth/tokens", json={"name": f"k{number}"})
    pages, cursor = [], None
    while True:
        page = alice.http.get(URL, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        pages.append([entry["detail"][:2] for entry in page["entries"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == [["k4", "k3"], ["k2", "k1"], ["k0"]]


def test_an_exactly_full_page_is_the_last(alice: Person) -> None:
    alice.http.post("/api/auth/tokens", json={"name": "k"})
    assert alice.http.get(URL, params={"limit": 1}).json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "201"), ("limit", "x"), ("cursor", "x"), ("cursor", "9" * 30)]
)
def test_an_invalid_parameter_is_named(alice: Person, name: str, value: str) -> None:
    assert_problem(alice.http.get(URL, params={name: value}), 400, naming=f"{name}: ")


def test_users_see_only_their_own_entries(alice: Person, bob: Person) -> None:
    alice.http.post("/api/auth/tokens", json={"name": "k"})
    assert entries(bob) == []


def test_anonymous_requests_are_refused(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.get(URL), 401)


def test_the_admin_can_read_but_not_change_entries(server: Process, alice: Person, bob: Person) -> None:
    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    bob.http.post("/api/auth/tokens", json={"name": "bobs-own-key"})
    entry = AuditEntry.objects.get(user=bob.user)
    with browser(server, alice) as admin:
        page = admin.get("/admin/auth_app/auditentry/", params={"q": bob.username})
        assert "bobs-own-key" in page.text
        change = f"/admin/auth_app/auditentry/{entry.pk}/change/"
        assert "bobs-own-key" in admin.get(change).text
        assert admin.get("/admin/auth_app/auditentry/add/").status_code == 403
        for url in (change, f"/admin/auth_app/auditentry/{entry.pk}/delete/"):
            assert admin.post(url, data={"post": "yes", "detail": "x", **csrf_field(admin)}).status_code == 403
        token = bob.user.access_tokens.get(kind="api_key")
        form = {"action": "revoke", "_selected_action": str(token.pk), **csrf_field(admin)}
        assert admin.post("/admin/auth_app/accesstoken/", data=form).status_code == 302
    assert AuditEntry.objects.filter(user=bob.user).count() == 2
    entry = AuditEntry.objects.get(user=bob.user, event="key_revoked")
    assert entry.detail == f"bobs-own-key, by {alice.username} in the admin"
