"""POST /api/auth/ws-ticket, and the use of a ticket."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from auth_app.identity import Identity
from auth_app.tokens.tickets import ticket_redeem
from telemetry.redis import redis_client_sync
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser, csrf_header

pytestmark = pytest.mark.usefixtures("stack")

URL = "/api/auth/ws-ticket"


def redeem(ticket: str) -> Identity | None:
    return asyncio.run(ticket_redeem(ticket))


def issue(person: Person) -> str:
    return str(person.http.post(URL).json()["ticket"])


def test_the_response_contains_the_lifetime(alice: Person) -> None:
    body = alice.http.post(URL).json()
    assert body["expires_in"] == 30
    assert len(body["ticket"]) >= 43


def test_a_ticket_is_valid_once(alice: Person) -> None:
    ticket = issue(alice)
    identity = redeem(ticket)
    assert identity is not None
    assert identity.user_id == alice.user.pk
    assert redeem(ticket) is None


def test_a_session_gets_tickets_with_csrf(server: Process, alice: Person) -> None:
    with browser(server, alice) as session:
        assert_problem(session.post(URL), 403, code="csrf")
        ticket = session.post(URL, headers=csrf_header(session)).json()["ticket"]
    identity = redeem(ticket)
    assert identity is not None
    assert identity.token_id == alice.user.access_tokens.get(kind="session").pk


def test_a_ticket_ends_with_its_token(alice: Person) -> None:
    ticket = issue(alice)
    alice.user.access_tokens.update(revoked_at=timezone.now())
    assert redeem(ticket) is None


def test_redis_stores_a_digest_that_expires(alice: Person) -> None:
    ticket = issue(alice)
    client = redis_client_sync(settings.REDIS_URL)
    keys = [key.decode() for key in client.scan_iter("wattstream:ticket:*")]
    assert keys
    assert not any(ticket in key for key in keys)
    assert all(0 < client.ttl(key) <= 30 for key in keys)


def test_an_unknown_ticket_is_refused() -> None:
    for ticket in ("", "x" * 43, "\udcff"):
        assert redeem(ticket) is None


def test_anonymous_requests_are_refused(anonymous: httpx.Client) -> None:
    assert_problem(anonymous.post(URL), 401)


def test_without_redis_the_response_is_503(lonely_server: Process, alice: Person) -> None:
    headers = {"Authorization": f"Bearer {alice.token}"}
    assert_problem(httpx.post(lonely_server.url + URL, headers=headers), 503, code="unavailable")
