"""POST /api/auth/register."""

from __future__ import annotations

import secrets

import httpx
import pytest

from auth_app.models import User
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem

URL = "/api/auth/register"
PASSWORD = "a-long-enough-secret"


def new_name() -> str:
    return f"new_{secrets.token_hex(4)}"


def test_a_registered_user_can_log_in(anonymous: httpx.Client) -> None:
    body = {"username": new_name(), "password": PASSWORD, "email": "someone@Example.org", "is_staff": True}
    answer = anonymous.post(URL, json=body)
    assert answer.status_code == 201
    assert answer.json() == {"username": body["username"], "email": "someone@example.org", "is_staff": False}
    assert anonymous.post("/api/auth/login", json=body).status_code == 200


def test_the_password_is_stored_as_an_argon2_hash(anonymous: httpx.Client) -> None:
    name = new_name()
    anonymous.post(URL, json={"username": name, "password": PASSWORD})
    assert User.objects.get(username=name).password.startswith("argon2$")


def test_a_taken_name_is_refused_in_any_case(anonymous: httpx.Client, alice: Person) -> None:
    for name in (alice.username, alice.username.upper()):
        answer = anonymous.post(URL, json={"username": name, "password": PASSWORD})
        assert_problem(answer, 400, code="username_taken", naming="username")


@pytest.mark.parametrize("password", ["short", "password123", "12345678901234"])
def test_a_weak_password_is_refused_with_the_validators_message(anonymous: httpx.Client, password: str) -> None:
    answer = anonymous.post(URL, json={"username": new_name(), "password": password})
    assert_problem(answer, 400, code="weak_password", naming="password: This password is")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": None}, "username"),
        ({"username": 12}, "username"),
        ({"username": ["a"]}, "username"),
        ({"username": ""}, "username"),
        ({"username": "a b"}, "username"),
        ({"username": "-rf"}, "username"),
        ({"username": "a\u0000b"}, "username"),
        ({"username": "ünicode"}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"password": 1234567890}, "password"),
        ({"password": "x\u0000" * 20}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"email": "nobody"}, "email"),
        ({"email": {"a": 1}}, "email"),
    ],
)
def test_an_invalid_field_is_named(anonymous: httpx.Client, changes: dict[str, object], field: str) -> None:
    body = {"username": new_name(), "password": PASSWORD, **changes}
    assert_problem(anonymous.post(URL, json=body), 400, code="bad_request", naming=f"{field}: ")


def test_a_missing_field_is_named(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.post(URL, json={}), 400, naming="username: ")
    assert_problem(anonymous.post(URL), 400, naming="password: ")


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"null", b"{", b"\xff\xfe", b"NaN", b"[" * 5000, b'{"a": "\\ud800"}']
)
def test_a_body_that_is_not_an_object_is_refused(anonymous: httpx.Client, body: bytes) -> None:
    answer = anonymous.post(URL, content=body, headers={"Content-Type": "application/json; charset=rot13"})
    assert_problem(answer, 400, naming="body: ")


def test_another_content_type_is_refused(anonymous: httpx.Client) -> None:
    answer = anonymous.post(URL, data={"username": new_name(), "password": PASSWORD})
    assert_problem(answer, 400, naming="application/json")


def test_a_huge_body_is_refused(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.post(URL, json={"username": "x" * 70_000}), 413, naming="body")


def test_another_method_is_refused(anonymous: httpx.Client) -> None:
    answer = anonymous.get(URL)
    assert_problem(answer, 405, code="method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_registration_can_be_closed(closed_server: Process) -> None:
    name = new_name()
    with httpx.Client(base_url=closed_server.url) as client:
        answer = client.post(URL, json={"username": name, "password": PASSWORD})
        assert_problem(answer, 403, code="registration_closed")
        assert_problem(client.post(URL, json={}), 403, code="registration_closed")
    assert not User.objects.filter(username=name).exists()
