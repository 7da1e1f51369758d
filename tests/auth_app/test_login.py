"""POST /api/auth/login."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.conf import settings

from auth_app.models import AccessToken
from auth_app.services import user_disable
from auth_app.tokens.digest import token_digest
from testing.cast import Person
from testing.process import Process
from testing.waiting import wait_until
from tests.auth_app.answers import assert_problem

URL = "/api/auth/login"


def test_the_token_opens_the_api(anonymous: httpx.Client, alice: Person) -> None:
    answer = anonymous.post(URL, json={"username": alice.username, "password": alice.password})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["user"] == {"username": alice.username, "email": "", "is_staff": False}
    me = anonymous.get("/api/auth/me", headers={"Authorization": f"Bearer {body['token']}"})
    assert me.json() == body["user"]


def test_the_response_contains_the_expiry(anonymous: httpx.Client, alice: Person) -> None:
    body = anonymous.post(URL, json={"username": alice.username, "password": alice.password}).json()
    expires_at = datetime.strptime(body["expires_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    lifetime = timedelta(days=settings.TOKEN_LIFETIME_DAYS)
    assert timedelta(0) <= datetime.now(UTC) + lifetime - expires_at < timedelta(minutes=1)


def test_only_a_hash_of_the_token_is_stored(anonymous: httpx.Client, alice: Person) -> None:
    token = anonymous.post(URL, json={"username": alice.username, "password": alice.password}).json()["token"]
    row = AccessToken.objects.get(digest=token_digest(token))
    assert token not in {str(value) for value in vars(row).values()}


def test_no_cookie_is_set(anonymous: httpx.Client, alice: Person) -> None:
    anonymous.post(URL, json={"username": alice.username, "password": alice.password})
    assert not anonymous.cookies


def test_all_failed_logins_get_the_same_response(anonymous: httpx.Client, alice: Person, bob: Person) -> None:
    user_disable(user=bob.user)
    attempts = [
        (f"nobody_{secrets.token_hex(4)}", alice.password),
        (alice.username, "wrong"),
        (bob.username, bob.password),
    ]
    answers = [anonymous.post(URL, json={"username": name, "password": word}) for name, word in attempts]
    for answer in answers:
        assert_problem(answer, 401, code="unauthorized")
    assert len({answer.content for answer in answers}) == 1


def test_an_account_is_locked_after_too_many_failures_in_any_case(anonymous: httpx.Client, alice: Person) -> None:
    limit = settings.LOGIN_FAILURES_PER_ACCOUNT
    names = [alice.username, alice.username.upper()]
    for attempt in range(limit):
        answer = anonymous.post(URL, json={"username": names[attempt % 2], "password": "wrong"})
        assert_problem(answer, 401)
    locked = anonymous.post(URL, json={"username": alice.username, "password": alice.password})
    assert_problem(locked, 429, code="too_many_attempts")
    assert 0 < int(locked.headers["retry-after"]) <= settings.ATTEMPT_WINDOW_S


def status_when_not_busy(client: httpx.Client, username: str, password: str) -> int:
    """Return the status of a login. Retries a 503 of a busy machine without a free hasher, which is not counted."""

    def status() -> int | None:
        code = client.post(URL, json={"username": username, "password": password}).status_code
        return None if code == 503 else code

    return wait_until(status, "a hasher is free", deadline_s=60) or 0


def test_concurrent_failures_cannot_exceed_the_limit(anonymous: httpx.Client, alice: Person) -> None:
    limit = settings.LOGIN_FAILURES_PER_ACCOUNT

    def attempt(_: int) -> int:
        return status_when_not_busy(anonymous, alice.username, "wrong")

    with ThreadPoolExecutor(limit + 6) as pool:
        statuses = list(pool.map(attempt, range(limit + 6)))
    assert sorted(statuses) == [401] * limit + [429] * 6


def test_successful_logins_do_not_count(anonymous: httpx.Client, alice: Person) -> None:
    def attempt(_: int) -> int:
        return status_when_not_busy(anonymous, alice.username, alice.password)

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(attempt, range(settings.LOGIN_FAILURES_PER_ACCOUNT + 4)))
    assert statuses == {200}


def test_the_limit_holds_without_redis(lonely_server: Process, alice: Person) -> None:
    with httpx.Client(base_url=lonely_server.url, timeout=30) as client:
        right = {"username": alice.username, "password": alice.password}
        assert client.post(URL, json=right).status_code == 200
        for _ in range(settings.LOGIN_FAILURES_PER_ACCOUNT):
            assert_problem(client.post(URL, json={**right, "password": "wrong"}), 401)
        assert_problem(client.post(URL, json=right), 429)


def test_the_username_is_compared_without_case(anonymous: httpx.Client, alice: Person) -> None:
    answer = anonymous.post("/api/auth/login", json={"username": alice.username.upper(), "password": alice.password})
    assert answer.json()["user"]["username"] == alice.username


@pytest.mark.parametrize("depth", [9, 1_000, 30_000])
def test_deep_nesting_is_refused(anonymous: httpx.Client, depth: int) -> None:
    body = '{"username": ' + "[" * depth + "]" * depth + ', "password": "x"}'
    answer = anonymous.post("/api/auth/login", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, naming="body: ")
