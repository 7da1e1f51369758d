"""The websocket handshake: credentials, origins, limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from testing.cast import Person
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.waiting import wait_until


def ticket_of(person: Person) -> str:
    answer = person.http.post("/api/auth/ws-ticket")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["ticket"])


def with_ticket(server: Process, ticket: str) -> LiveSocket:
    return LiveSocket(server.url, subprotocols=["wattstream.v1", f"ticket.{ticket}"])


def test_a_program_authenticates_with_a_token(server: Process, alice: Person) -> None:
    with LiveSocket(server.url, person=alice) as live:
        assert live.next() == {"type": "welcome", "protocol": 1, "user": alice.username, "heartbeat_s": 20}


def test_a_browser_authenticates_with_a_ticket_once(server: Process, alice: Person) -> None:
    ticket = ticket_of(alice)
    with with_ticket(server, ticket) as live:
        assert live.next()["user"] == alice.username
        assert live.subprotocol == "wattstream.v1"
    with with_ticket(server, ticket) as again:
        assert again.close_code() == 4401


def test_a_session_cookie_is_sufficient(server: Process, alice: Person) -> None:
    with httpx.Client(base_url=server.url) as browser:
        browser.get("/login")
        form = {"username": alice.username, "password": alice.password}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        assert browser.post("/login", data=form, headers={"Referer": server.url}).status_code == 302
        cookie = f"sessionid={browser.cookies['sessionid']}"
    with LiveSocket(server.url, headers={"Cookie": cookie}) as live:
        assert live.next()["user"] == alice.username


@pytest.mark.parametrize("authorization", [None, "Bearer wst_nonsense", "Basic YTpi", ""])
def test_bad_or_missing_credentials_are_accepted_and_closed(server: Process, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with LiveSocket(server.url, headers=headers) as live:
        assert live.close_code() == 4401
        assert live.frames == []


def test_a_token_in_the_url_is_not_read(server: Process, alice: Person) -> None:
    for query in (f"token={alice.token}", f"access_token={alice.token}", f"ticket={ticket_of(alice)}"):
        with LiveSocket(server.url, path=f"/ws/live?{query}") as live:
            assert live.close_code() == 4401


def test_a_foreign_origin_is_403_whatever_the_credential(server: Process, alice: Person) -> None:
    for origin in ("https://evil.example", "null", server.url.replace("http", "ftp"), server.url + ".evil.example"):
        with pytest.raises(InvalidStatus) as refused:
            LiveSocket(server.url, person=alice, headers={"Origin": origin})
        assert refused.value.response.status_code == 403


def test_the_servers_own_origin_is_allowed(server: Process, alice: Person) -> None:
    with LiveSocket(server.url, person=alice, headers={"Origin": server.url}) as live:
        assert live.next()["type"] == "welcome"


def test_another_path_is_refused(server: Process, alice: Person) -> None:
    with pytest.raises(InvalidStatus):
        LiveSocket(server.url, person=alice, path="/ws/nonsense")


def test_the_device_of_the_url_is_subscribed_on_connect(server: Process, alice: Person, device: str) -> None:
    with LiveSocket(server.url, person=alice, path=f"/ws/live/{device}") as live:
        assert live.next()["type"] == "welcome"
        assert live.next() == {
            "type": "subscribed", "id": None, "device_id": device, "cursor": None, "recovered": True,
        }  # fmt: skip


def test_a_foreign_device_in_the_url_is_refused(server: Process, charlie: Person, device: str) -> None:
    for asked in (device, "no-such-device"):
        with LiveSocket(server.url, person=charlie, path=f"/ws/live/{asked}") as live:
            assert live.close_code() == 4403


@pytest.mark.parametrize("path", ["/ws/live", "/ws/live/{device}"])
def test_a_burst_of_handshakes_opens_no_more_sockets_than_the_limit(
    stack: Stack, tmp_path: Path, alice: Person, device: str, path: str
) -> None:
    env = {**stack.env, "LIVE_SOCKETS_PER_USER": "5"}
    with server_process(env, tmp_path / "server.log") as server, ExitStack() as sockets:
        with ThreadPoolExecutor(60) as threads:
            connect = partial(LiveSocket, server.url, person=alice, path=path.format(device=device))
            opened = [sockets.enter_context(future.result()) for future in [threads.submit(connect) for _ in range(60)]]
        greeted = [live for live in opened if live.is_greeted()]
        assert len(greeted) == 5
        greeted[0].close()
        wait_until(lambda: _opens(server, alice), "a place is free again")


def _opens(server: Process, person: Person) -> bool:
    with LiveSocket(server.url, person=person) as live:
        return live.is_greeted()
