"""A session cookie alone changes nothing: every unsafe method of every route also requires the CSRF token."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser, csrf_header
from tests.project.routes import routes

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# These ignore credentials and set no cookie, so a forged request gains nothing.
WITHOUT_CREDENTIALS = {"/api/auth/login", "/api/auth/register"}
# These change nothing. POST /api/history/query only reads; its body replaces a URL that would be too long.
ONLY_READ = {
    "/api/history/query", "/api/history/ems_001", "/api/history/ems_001/export",
    "/api/energy", "/api/energy/ems_001", "/api/latest", "/api/metrics", "/api/stream",
    "/api/schema", "/api/docs", "/livez", "/readyz", "/metrics",
}  # fmt: skip
PATHS = sorted({path for path, _ in routes()})


@pytest.fixture(scope="module")
def session(server: Process) -> Iterator[httpx.Client]:
    """A signed-in browser of a superuser, so that all routes of the admin exist."""
    from secrets import token_hex

    from testing.cast import person_create

    person = person_create(f"dora_{token_hex(4)}", base_url=server.url)
    person.user.is_staff = person.user.is_superuser = True
    person.user.save()
    with browser(server, person) as client:
        yield client
    person.http.close()


def test_the_exceptions_are_routes() -> None:
    assert set(PATHS) >= WITHOUT_CREDENTIALS | ONLY_READ


@pytest.mark.parametrize("path", [path for path in PATHS if path not in WITHOUT_CREDENTIALS | ONLY_READ])
def test_a_session_without_csrf_token_changes_nothing(session: httpx.Client, path: str) -> None:
    for method in UNSAFE:
        answer = session.request(method, path, json={})
        assert_problem(answer, 403, code="csrf")
    assert session.get("/api/auth/me").status_code == 200, "still signed in"


@pytest.mark.parametrize("path", sorted(ONLY_READ))
def test_read_only_routes_refuse_unsafe_methods(session: httpx.Client, path: str) -> None:
    accepted = {"POST"} if path == "/api/history/query" else set()
    for method in set(UNSAFE) - accepted:
        assert_problem(session.request(method, path, json={}), 405)


@pytest.mark.parametrize("path", sorted(WITHOUT_CREDENTIALS))
def test_routes_that_ignore_credentials_set_no_cookie(session: httpx.Client, path: str) -> None:
    answer = session.post(path, json={})
    assert_problem(answer, 400)
    assert "set-cookie" not in answer.headers


def test_an_invalid_token_is_rejected(session: httpx.Client) -> None:
    assert_problem(session.post("/api/auth/ws-ticket", headers={"X-CSRFToken": "x" * 32}), 403, code="csrf")


def test_a_token_from_another_origin_is_rejected(session: httpx.Client) -> None:
    headers = {**csrf_header(session), "Origin": "https://evil.example"}
    assert_problem(session.post("/api/auth/ws-ticket", headers=headers), 403, code="csrf")


def test_a_valid_token_is_accepted(session: httpx.Client) -> None:
    assert session.post("/api/auth/ws-ticket", headers=csrf_header(session)).status_code == 200


def test_a_bearer_token_needs_no_csrf_token(alice: Person, device: str) -> None:
    assert alice.http.post("/api/auth/ws-ticket").status_code == 200
    assert alice.http.patch(f"/api/devices/{device}", json={"name": "Roof"}).status_code == 200
