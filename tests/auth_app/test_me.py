"""GET /api/auth/me, with every kind of credentials."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from auth_app.services import user_disable
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser

URL = "/api/auth/me"


def test_the_response_describes_the_user(alice: Person) -> None:
    answer = alice.http.get(URL)
    assert answer.json() == {"username": alice.username, "email": "", "is_staff": False}
    assert answer.headers["cache-control"] == "no-store"


def test_the_scheme_is_not_case_sensitive(anonymous: httpx.Client, alice: Person) -> None:
    assert anonymous.get(URL, headers={"Authorization": f"bEARER {alice.token}"}).status_code == 200


def test_anonymous_requests_get_a_challenge(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.get(URL), 401, naming="Bearer")


@pytest.mark.parametrize("header", ["Bearer", "Bearer nonsense", "Basic YTpi", "Token abc", "nonsense", ""])
def test_a_bad_authorization_header_is_refused_even_with_a_valid_session(
    server: Process, alice: Person, header: str
) -> None:
    with browser(server, alice) as client:
        assert client.get(URL).status_code == 200
        assert_problem(client.get(URL, headers={"Authorization": header}), 401)


def test_an_expired_token_is_refused(alice: Person) -> None:
    alice.user.access_tokens.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert_problem(alice.http.get(URL), 401)


def test_a_disabled_user_is_refused(alice: Person) -> None:
    user_disable(user=alice.user)
    assert_problem(alice.http.get(URL), 401)


def test_a_token_in_the_url_is_ignored(anonymous: httpx.Client, alice: Person) -> None:
    assert_problem(anonymous.get(URL, params={"token": alice.token, "access_token": alice.token}), 401)


@pytest.mark.parametrize("cookie", ["", "short", "x" * 32, "../../etc/passwd", '"\\000aaaaaaaaaa"', "a" * 5000])
def test_an_unknown_session_is_refused(anonymous: httpx.Client, cookie: str) -> None:
    assert_problem(anonymous.get(URL, headers={"Cookie": f"sessionid={cookie}"}), 401)
    assert anonymous.get("/login", headers={"Cookie": f"sessionid={cookie}"}).status_code == 200


def test_a_session_ends_when_its_token_is_revoked(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        alice.user.access_tokens.filter(kind="session").update(revoked_at=timezone.now())
        assert_problem(client.get(URL), 401)


def test_the_response_is_json_for_any_accept_header(alice: Person) -> None:
    answer = alice.http.get(URL, params={"format": "html"}, headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/json"


def test_another_method_is_refused(alice: Person) -> None:
    for method in ("POST", "DELETE", "OPTIONS"):
        answer = alice.http.request(method, URL)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"
