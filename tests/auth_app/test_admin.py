"""Changes to users and tokens in the admin take effect immediately."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from auth_app.models import User
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser, csrf_field


@pytest.fixture
def admin(server: Process, alice: Person) -> Iterator[httpx.Client]:
    """A browser with the session of alice, a superuser."""
    alice.user.is_staff = alice.user.is_superuser = True
    alice.user.save()
    with browser(server, alice) as client:
        client.get("/admin/")
        yield client


def run_action(admin: httpx.Client, url: str, action: str, pk: int, **fields: str) -> None:
    form = {"action": action, "_selected_action": str(pk), **csrf_field(admin), **fields}
    assert admin.post(url, data=form).status_code == 302


def test_the_pages_load(admin: httpx.Client, bob: Person) -> None:
    token = bob.user.access_tokens.get()
    for page in ("user/", f"user/{bob.user.pk}/change/", "accesstoken/", f"accesstoken/{token.pk}/change/"):
        answer = admin.get(f"/admin/auth_app/{page}")
        assert answer.status_code == 200, page
        assert token.digest not in answer.text


def test_disabling_users(admin: httpx.Client, bob: Person) -> None:
    run_action(admin, "/admin/auth_app/user/", "disable", bob.user.pk)
    assert_problem(bob.http.get("/api/auth/me"), 401)


def test_setting_a_password_ends_every_token(admin: httpx.Client, bob: Person) -> None:
    form = {"password1": "quite-another-secret", "password2": "quite-another-secret", "usable_password": "true"}
    answer = admin.post(f"/admin/auth_app/user/{bob.user.pk}/password/", data=form | csrf_field(admin))
    assert answer.status_code == 302
    assert_problem(bob.http.get("/api/auth/me"), 401)


def test_an_unusable_password_ends_every_token(admin: httpx.Client, bob: Person) -> None:
    form = {"usable_password": "false", "unset-password": "1"}
    answer = admin.post(f"/admin/auth_app/user/{bob.user.pk}/password/", data=form | csrf_field(admin))
    assert answer.status_code == 302
    assert_problem(bob.http.get("/api/auth/me"), 401)


def test_revoking_tokens(admin: httpx.Client, bob: Person) -> None:
    run_action(admin, "/admin/auth_app/accesstoken/", "revoke", bob.user.access_tokens.get().pk)
    assert_problem(bob.http.get("/api/auth/me"), 401)


def test_deleting_a_token(admin: httpx.Client, bob: Person) -> None:
    pk = bob.user.access_tokens.get().pk
    run_action(admin, "/admin/auth_app/accesstoken/", "delete_selected", pk, post="yes")
    assert_problem(bob.http.get("/api/auth/me"), 401)


def test_deleting_users(admin: httpx.Client, bob: Person) -> None:
    run_action(admin, "/admin/auth_app/user/", "delete_selected", bob.user.pk, post="yes")
    assert not User.objects.filter(pk=bob.user.pk).exists()
    assert_problem(bob.http.get("/api/auth/me"), 401)


def test_a_password_is_not_changed_in_the_admin_but_on_the_account_page(admin: httpx.Client, alice: Person) -> None:
    form = {"old_password": alice.password, "new_password1": "quite-another-secret"}
    form["new_password2"] = form["new_password1"]
    answer = admin.post("/admin/password_change/", data=form | csrf_field(admin))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    alice.user.refresh_from_db()
    assert alice.user.check_password(alice.password)
