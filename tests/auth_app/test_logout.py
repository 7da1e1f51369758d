"""POST /api/auth/logout."""

from __future__ import annotations

import httpx

from auth_app.models import AccessToken
from auth_app.tokens.access_tokens import token_create
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser, csrf_header

URL = "/api/auth/logout"


def test_only_the_presented_token_ends(anonymous: httpx.Client, alice: Person) -> None:
    other, _ = token_create(user=alice.user, kind=AccessToken.Kind.LOGIN)
    assert alice.http.post(URL).status_code == 204
    assert_problem(alice.http.get("/api/auth/me"), 401)
    assert anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_a_session_ends_with_its_token(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        cookies = dict(client.cookies)
        assert client.post(URL, headers=csrf_header(client)).status_code == 204
        assert_problem(httpx.get(f"{server.url}/api/auth/me", cookies=cookies), 401)
    assert not alice.user.access_tokens.filter(kind="session", revoked_at=None).exists()


def test_a_session_needs_a_csrf_token(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        assert_problem(client.post(URL), 403, code="csrf")
        assert client.get("/api/auth/me").status_code == 200


def test_anonymous_requests_are_refused(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.post(URL), 401)
