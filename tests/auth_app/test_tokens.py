"""GET and POST /api/auth/tokens, DELETE /api/auth/tokens/{id}: API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from auth_app.tokens.api_keys import API_KEY_DEFAULT_DAYS, API_KEY_MAX_DAYS
from testing.cast import Person
from tests.auth_app.answers import assert_problem

URL = "/api/auth/tokens"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_key_opens_the_api_and_is_shown_once(anonymous: httpx.Client, alice: Person) -> None:
    answer = alice.http.post(URL, json={"name": "home assistant"})
    assert answer.status_code == 201
    key = answer.json()
    assert anonymous.get("/api/auth/me", headers=bearer(key.pop("token"))).json()["username"] == alice.username
    assert alice.http.get(URL).json() == [key]
    assert set(key) == {"id", "name", "scopes", "created_at", "expires_at"}


def test_a_key_expires_by_default(alice: Person) -> None:
    expires_at = datetime.fromisoformat(alice.http.post(URL, json={"name": "k"}).json()["expires_at"])
    until = datetime.now(UTC) + timedelta(days=API_KEY_DEFAULT_DAYS)
    assert timedelta(0) <= until - expires_at < timedelta(minutes=1)


def test_a_key_expires_at_the_requested_time(alice: Person) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    wanted = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    told = [moment.isoformat(), moment.replace(tzinfo=None).isoformat(), int(moment.timestamp() * 1000)]
    for expires_at in told:
        assert alice.http.post(URL, json={"name": "k", "expires_at": expires_at}).json()["expires_at"] == wanted


@pytest.mark.parametrize("days", [-1, API_KEY_MAX_DAYS + 1])
def test_an_expiry_in_the_past_or_too_far_ahead_is_refused(alice: Person, days: int) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    assert_problem(alice.http.post(URL, json={"name": "k", "expires_at": expires_at}), 400, naming="expires_at")


@pytest.mark.parametrize("expires_at", ["soon", True, [], 1e300, "0001-01-01T00:00:00+14:00", -1e17])
def test_an_invalid_time_is_refused(alice: Person, expires_at: object) -> None:
    assert_problem(alice.http.post(URL, json={"name": "k", "expires_at": expires_at}), 400, naming="expires_at: ")


@pytest.mark.parametrize("name", [None, "", 5, "x" * 101, "a\u0000"])
def test_an_invalid_name_is_refused(alice: Person, name: object) -> None:
    assert_problem(alice.http.post(URL, json={"name": name}), 400, naming="name: ")


def test_a_key_cannot_create_keys(anonymous: httpx.Client, alice: Person) -> None:
    token = alice.http.post(URL, json={"name": "k"}).json()["token"]
    answer = anonymous.post(URL, json={"name": "longer"}, headers=bearer(token))
    assert_problem(answer, 403, code="api_key_not_accepted")


def test_a_deleted_key_is_invalid(anonymous: httpx.Client, alice: Person) -> None:
    key = alice.http.post(URL, json={"name": "k"}).json()
    assert alice.http.delete(f"{URL}/{key['id']}").status_code == 204
    assert_problem(anonymous.get("/api/auth/me", headers=bearer(key["token"])), 401)
    assert alice.http.get(URL).json() == []
    assert_problem(alice.http.delete(f"{URL}/{key['id']}"), 404)


def test_a_foreign_key_and_an_unknown_key_get_the_same_response(alice: Person, charlie: Person) -> None:
    key = alice.http.post(URL, json={"name": "k"}).json()
    login = charlie.user.access_tokens.get()
    answers = [charlie.http.delete(f"{URL}/{token_id}") for token_id in (key["id"], 10**9, 10**30, login.pk)]
    for answer in answers:
        assert_problem(answer, 404, code="not_found")
    assert len({answer.content for answer in answers}) == 1
    assert len(alice.http.get(URL).json()) == 1


def test_anonymous_requests_are_refused(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.get(URL), 401)
    assert_problem(anonymous.post(URL, json={"name": "k"}), 401)
    assert_problem(anonymous.delete(f"{URL}/1"), 401)


def test_another_method_is_refused(alice: Person) -> None:
    answer = alice.http.put(URL)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET, POST, HEAD"
