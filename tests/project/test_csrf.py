"""A session cookie alone changes nothing: every unsafe method of every route wants the CSRF token too."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser, csrf_header
from tests.project.routes import routes

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# Look at no credentials at all, so a cookie gains nothing there; and set none.
WITHOUT_CREDENTIALS = {"/api/auth/login", "/api/auth/register"}
# Change nothing, whoever asks; history asks in the body of a POST what does not fit into a URL.
ONLY_READ = {
    "/api/history/query", "/api/history/ems_001", "/api/history/ems_001/export",
    "/api/energy/ems_001", "/api/latest", "/api/metrics", "/api/stream",
    "/api/schema", "/api/docs", "/livez", "/readyz", "/metrics",
}  # fmt: skip
PATHS = sorted({path for path, _ in routes()})


@pytest.fixture(scope="module")
def session(server: Process) -> Iterator[httpx.Client]:
    """A signed-in browser; a superuser, so that the admin's routes are all there."""
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
def test_a_session_without_the_token_changes_nothing(session: httpx.Client, path: str) -> None:
    for method in UNSAFE:
        answer = session.request(method, path, json={})
        assert_problem(answer, 403, code="csrf")
    assert session.get("/api/auth/me").status_code == 200, "still signed in"


@pytest.mark.parametrize("path", sorted(ONLY_READ))
def test_what_only_reads_takes_no_method_that_could_change_something(session: httpx.Client, path: str) -> None:
    accepted = {"POST"} if path == "/api/history/query" else set()
    for method in set(UNSAFE) - accepted:
        assert_problem(session.request(method, path, json={}), 405)


@pytest.mark.parametrize("path", sorted(WITHOUT_CREDENTIALS))
def test_what_looks_at_no_credentials_sets_no_cookie(session: httpx.Client, path: str) -> None:
    answer = session.post(path, json={})
    assert_problem(answer, 400)
    assert "set-cookie" not in answer.headers


def test_a_wrong_token_is_as_good_as_none(session: httpx.Client) -> None:
    assert_problem(session.post("/api/auth/ws-ticket", headers={"X-CSRFToken": "x" * 32}), 403, code="csrf")


def test_a_token_from_another_origin_is_not_accepted(session: httpx.Client) -> None:
    headers = {**csrf_header(session), "Origin": "https://evil.example"}
    assert_problem(session.post("/api/auth/ws-ticket", headers=headers), 403, code="csrf")


def test_with_the_token_it_works(session: httpx.Client) -> None:
    assert session.post("/api/auth/ws-ticket", headers=csrf_header(session)).status_code == 200


def test_a_bearer_token_needs_no_csrf_token(alice: Person, device: str) -> None:
    assert alice.http.post("/api/auth/ws-ticket").status_code == 200
    assert alice.http.patch(f"/api/devices/{device}", json={"name": "Roof"}).status_code == 200
