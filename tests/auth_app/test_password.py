"""POST /api/auth/password."""

from __future__ import annotations

import httpx
import pytest
from django.conf import settings

from auth_app.models import AccessToken
from auth_app.tokens.access_tokens import token_create
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser, csrf_header

URL = "/api/auth/password"
NEW = "quite-another-secret"


def test_the_new_password_replaces_the_old_one(anonymous: httpx.Client, alice: Person) -> None:
    answer = alice.http.post(URL, json={"current_password": alice.password, "new_password": NEW})
    assert answer.status_code == 204
    login = {"username": alice.username, "password": NEW}
    assert anonymous.post("/api/auth/login", json=login).status_code == 200
    assert_problem(anonymous.post("/api/auth/login", json={**login, "password": alice.password}), 401)


def test_every_other_token_ends(anonymous: httpx.Client, server: Process, alice: Person) -> None:
    others = [
        token_create(user=alice.user, kind=kind)[0] for kind in (AccessToken.Kind.LOGIN, AccessToken.Kind.API_KEY)
    ]
    with browser(server, alice) as session:
        alice.http.post(URL, json={"current_password": alice.password, "new_password": NEW})
        assert alice.http.get("/api/auth/me").status_code == 200
        assert_problem(session.get("/api/auth/me"), 401)
    for token in others:
        assert_problem(anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"}), 401)


def test_the_session_that_changes_it_continues(server: Process, alice: Person) -> None:
    with browser(server, alice) as session:
        body = {"current_password": alice.password, "new_password": NEW}
        assert session.post(URL, json=body, headers=csrf_header(session)).status_code == 204
        assert session.get("/api/auth/me").status_code == 200
        assert alice.username in session.get("/login").text
        assert_problem(alice.http.get("/api/auth/me"), 401)


def test_a_wrong_current_password_is_refused_and_counted(alice: Person) -> None:
    body = {"current_password": "wrong", "new_password": NEW}
    for _ in range(settings.LOGIN_FAILURES_PER_ACCOUNT):
        assert_problem(alice.http.post(URL, json=body), 400, code="wrong_password", naming="current_password")
    assert_problem(alice.http.post(URL, json={**body, "current_password": alice.password}), 429)


def test_a_weak_new_password_is_refused(alice: Person) -> None:
    answer = alice.http.post(URL, json={"current_password": alice.password, "new_password": "short"})
    assert_problem(answer, 400, code="weak_password", naming="new_password")


@pytest.mark.parametrize("body", [{}, {"current_password": "x"}, {"current_password": [], "new_password": NEW}])
def test_an_invalid_field_is_named(alice: Person, body: dict[str, object]) -> None:
    assert_problem(alice.http.post(URL, json=body), 400, naming="_password: ")


def test_form_encoding_is_refused_even_with_a_csrf_token(server: Process, alice: Person) -> None:
    with browser(server, alice) as session:
        for kind in ({"files": {"a": b"x"}}, {"data": {"a": "x"}}):
            answer = session.post(URL, headers=csrf_header(session), **kind)
            assert_problem(answer, 400, naming="Content-Type")


def test_a_stranger_who_fails_to_sign_in_does_not_block_it(anonymous: httpx.Client, alice: Person) -> None:
    guess = {"username": alice.username, "password": "a wrong password"}
    while anonymous.post("/api/auth/login", json=guess).status_code != 429:
        pass
    body = {"current_password": alice.password, "new_password": "another-good-password-7"}
    assert alice.http.post("/api/auth/password", json=body).status_code == 204
