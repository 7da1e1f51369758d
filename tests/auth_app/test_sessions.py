"""GET and DELETE /api/auth/sessions, DELETE /api/auth/sessions/{id}."""

from __future__ import annotations

import httpx

from auth_app.models import AccessToken
from auth_app.tokens.access_tokens import token_create
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser

URL = "/api/auth/sessions"


def works(token: str, server: Process) -> bool:
    answer = httpx.get(f"{server.url}/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 200


def test_logins_and_browser_sessions_are_listed_and_api_keys_are_not(server: Process, alice: Person) -> None:
    token_create(user=alice.user, kind=AccessToken.Kind.API_KEY)
    with browser(server, alice):
        listed = alice.http.get(URL).json()
    assert [(session["kind"], session["current"]) for session in listed] == [("session", False), ("login", True)]


def test_ending_all_others_keeps_this_one_and_the_api_keys(server: Process, alice: Person, bob: Person) -> None:
    other, _ = token_create(user=alice.user, kind=AccessToken.Kind.LOGIN)
    key, _ = token_create(user=alice.user, kind=AccessToken.Kind.API_KEY)
    assert alice.http.delete(URL).status_code == 204
    assert (works(other, server), works(key, server), works(alice.token, server)) == (False, True, True)
    assert works(bob.token, server)


def test_ending_one(server: Process, alice: Person) -> None:
    other, row = token_create(user=alice.user, kind=AccessToken.Kind.LOGIN)
    assert alice.http.delete(f"{URL}/{row.pk}").status_code == 204
    assert not works(other, server)
    assert_problem(alice.http.delete(f"{URL}/{row.pk}"), 404)


def test_the_session_of_another_user_is_not_found(server: Process, alice: Person, bob: Person) -> None:
    theirs = bob.user.access_tokens.get().pk
    assert_problem(alice.http.delete(f"{URL}/{theirs}"), 404)
    assert works(bob.token, server)
