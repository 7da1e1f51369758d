"""The pages /login, /register and /logout, and the admin behind them."""

from __future__ import annotations

import secrets

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from auth_app.models import AccessToken
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import browser, csrf_field, sign_in


def make_staff(person: Person) -> None:
    person.user.is_staff = person.user.is_superuser = True
    person.user.save()


def test_the_form_has_no_inline_code(anonymous: httpx.Client) -> None:
    page = anonymous.get("/login")
    assert page.status_code == 200
    assert "<script>" not in page.text  # no inline code
    assert "style=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "no-store" in page.headers["cache-control"]


def test_its_stylesheet_is_served(anonymous: httpx.Client) -> None:
    assert "login.css" in anonymous.get("/login").text
    assert anonymous.get("/static/auth_app/login.css").status_code == 200


def test_login_gives_access_to_api_and_pages(server: Process, alice: Person) -> None:
    with browser(server) as client:
        answer = sign_in(client, alice.username, alice.password)
        assert answer.headers["location"] == "/"
        assert client.get("/api/auth/me").json()["username"] == alice.username
        assert alice.username in client.get("/login").text


def test_the_session_cookie_is_httponly(server: Process, alice: Person) -> None:
    with browser(server) as client:
        cookie = next(
            c
            for c in sign_in(client, alice.username, alice.password).headers.get_list("set-cookie")
            if "sessionid" in c
        )
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_each_session_has_a_new_key_and_a_separate_token(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        first = client.cookies["sessionid"]
        sign_in(client, alice.username, alice.password)
        assert client.cookies["sessionid"] != first
    tokens = AccessToken.objects.filter(user=alice.user, kind=AccessToken.Kind.SESSION)
    assert tokens.count() == 2
    assert tokens.filter(revoked_at=None).count() == 1


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("/admin/", "/admin/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\evil.example", "/"),
    ],
)
def test_next_stays_on_this_host(server: Process, alice: Person, wanted: str, given: str) -> None:
    with browser(server) as client:
        assert sign_in(client, alice.username, alice.password, next=wanted).headers["location"] == given


def test_a_wrong_password_shows_an_escaped_error(server: Process) -> None:
    with browser(server) as client:
        page = sign_in(client, '"><script>', "wrong")
        assert page.status_code == 401
        assert "Wrong username or password" in page.text
        assert "<script>" not in page.text
        assert "sessionid" not in client.cookies


def test_the_form_needs_a_csrf_token(anonymous: httpx.Client, alice: Person) -> None:
    form = {"username": alice.username, "password": alice.password}
    assert anonymous.post("/login", data=form).status_code == 403


def register(client: httpx.Client, username: str, password: str, **fields: str) -> httpx.Response:
    client.get("/register")
    form = {"username": username, "password": password, "again": password, **csrf_field(client), **fields}
    return client.post("/register", data=form)


def test_registration_logs_in(server: Process) -> None:
    name = f"new_{secrets.token_hex(4)}"
    with browser(server) as client:
        answer = register(client, name, "a-long-enough-secret", next="/devices")
        assert answer.headers["location"] == "/devices"
        assert client.get("/api/auth/me").json()["username"] == name


def test_registration_needs_a_csrf_token(anonymous: httpx.Client) -> None:
    form = {"username": "somebody", "password": "a-long-enough-secret", "again": "a-long-enough-secret"}
    assert anonymous.post("/register", data=form).status_code == 403


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"username": "not a name"}, "username: Accepted are"),
        ({"password": "short", "again": "short"}, "password: This password is too short"),
        ({"again": "another"}, "The two passwords are not the same."),
        ({"email": "nowhere"}, "email: Enter a valid email address."),
    ],
)
def test_a_failed_registration_shows_an_error_and_does_not_log_in(
    server: Process, fields: dict[str, str], words: str
) -> None:
    with browser(server) as client:
        page = register(client, **{"username": f"new_{secrets.token_hex(4)}", "password": "a-long-secret", **fields})
        assert page.status_code == 400
        assert words in page.text
        assert "sessionid" not in client.cookies


def test_the_form_does_not_register_if_registration_is_closed(closed_server: Process) -> None:
    with browser(closed_server) as client:
        client.get("/login")
        form = {"username": "somebody", "password": "a-long-secret", "again": "a-long-secret", **csrf_field(client)}
        page = client.post("/register", data=form)
        assert page.status_code == 403
        assert "Registration is closed here" in page.text


def test_the_limits_apply(server: Process, alice: Person) -> None:
    with browser(server) as client:
        for _ in range(settings.LOGIN_FAILURES_PER_ACCOUNT):
            assert sign_in(client, alice.username, "wrong").status_code == 401
        page = sign_in(client, alice.username, alice.password)
        assert page.status_code == 429
        assert int(page.headers["retry-after"]) > 0


def test_logout_ends_the_session(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        assert client.get("/logout").status_code == 405
        cookies = dict(client.cookies)
        assert client.post("/logout", data=csrf_field(client)).headers["location"] == "/login"
    assert httpx.get(f"{server.url}/api/auth/me", cookies=cookies).status_code == 401
    assert not alice.user.access_tokens.filter(kind="session", revoked_at=None).exists()


def test_the_admin_is_reached_through_the_login_page(server: Process, alice: Person) -> None:
    make_staff(alice)
    with browser(server) as client:
        client.follow_redirects = True
        page = client.get("/admin/")
        assert page.url.path == "/login"
        assert page.url.params["next"] == "/admin/"
        assert "Site administration" in sign_in(client, alice.username, alice.password, next="/admin/").text


def test_djangos_admin_login_is_disabled(server: Process, alice: Person) -> None:
    make_staff(alice)
    with browser(server) as client:
        client.get("/login")
        form = {"username": alice.username, "password": alice.password, **csrf_field(client)}
        assert client.post("/admin/login/", data=form).headers["location"].startswith("/login")
        assert "sessionid" not in client.cookies


def test_the_admin_ends_with_the_token(server: Process, alice: Person) -> None:
    make_staff(alice)
    with browser(server, alice) as client:
        assert client.get("/admin/").status_code == 200
        alice.user.access_tokens.update(revoked_at=timezone.now())
        assert client.get("/admin/").status_code == 302


def test_the_admins_logout_revokes_the_token(server: Process, alice: Person) -> None:
    make_staff(alice)
    with browser(server, alice) as client:
        client.get("/admin/")
        assert client.post("/admin/logout/", data=csrf_field(client)).status_code == 302
    assert not alice.user.access_tokens.filter(kind="session", revoked_at=None).exists()


def test_users_without_staff_rights_are_refused_without_a_redirect_loop(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        client.follow_redirects = True
        page = client.get("/admin/")
        assert page.url.path == "/login"
        assert alice.username in page.text
