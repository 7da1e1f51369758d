"""Checks of refusals, and clients that the account tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from testing.cast import Person, client
from testing.process import Process


def assert_problem(response: httpx.Response, status: int, *, code: str | None = None, naming: str = "") -> None:
    """Check for a problem document (RFC 9457) with this status and code, and with `naming` in its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"status", "title", "detail", "code"}
    assert body["status"] == status
    assert naming in body["detail"]
    if code is not None:
        assert body["code"] == code
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
    if status in (429, 503):
        assert int(response.headers["retry-after"]) > 0


@contextmanager
def browser(server: Process, person: Person | None = None) -> Iterator[httpx.Client]:
    """Return a client with a cookie jar; with `person`, it is logged in through the login page."""
    with client(server.url) as http:
        if person is not None:
            response = sign_in(http, person.username, person.password)
            assert response.status_code == 302, response.text
        yield http


def sign_in(client: httpx.Client, username: str, password: str, **fields: str) -> httpx.Response:
    client.get("/login")
    form = {"username": username, "password": password, **csrf_field(client), **fields}
    return client.post("/login", data=form)


def csrf_field(client: httpx.Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": client.cookies["csrftoken"]}


def csrf_header(client: httpx.Client) -> dict[str, str]:
    return {"X-CSRFToken": client.cookies["csrftoken"]}
