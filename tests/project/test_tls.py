"""TLS=1: cookies, redirects, HSTS, and the proxies that the server trusts about TLS."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from testing.cast import Person
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack

HOST = "energy.example.com"
OVER_TLS = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
YEAR_S = 31_536_000


@pytest.fixture(scope="module")
def tls_server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server behind a trusted proxy on this machine that terminates TLS."""
    env = {**stack.env, "TLS": "1", "ALLOWED_HOSTS": f"{HOST},127.0.0.1", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    with server_process(env, tmp_path_factory.mktemp("tls") / "server.log") as process:
        yield process


@pytest.fixture
def visitor(tls_server: Process) -> Iterator[httpx.Client]:
    """A client whose requests look as if that proxy forwarded them."""
    with httpx.Client(base_url=tls_server.url, headers=OVER_TLS, timeout=30) as client:
        yield client


def sign_in(client: httpx.Client, person: Person) -> dict[str, str]:
    """Log in with the form, as a browser on https does. Returns the Set-Cookie lines by cookie name."""
    page = client.get("/login")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    csrf = page.headers["set-cookie"].partition(";")[0]
    answer = client.post(
        "/login",
        data={"csrfmiddlewaretoken": token[1], "username": person.username, "password": person.password},
        headers={"Origin": f"https://{HOST}", "Cookie": csrf},
    )
    assert answer.status_code == 302, answer.text
    lines = [*page.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    return {line.partition("=")[0]: line for line in lines}


@pytest.mark.parametrize(
    "path", ["/login", "/livez", "/api/auth/me", "/api/latest", "/static/dashboard/icon.svg", "/nothing"]
)
def test_every_response_sends_hsts(visitor: httpx.Client, path: str) -> None:
    told = visitor.get(path).headers.get_list("strict-transport-security")
    assert told == [f"max-age={YEAR_S}; includeSubDomains; preload"]


def test_cookies_are_bound_to_the_host_and_to_tls(visitor: httpx.Client, alice: Person) -> None:
    cookies = sign_in(visitor, alice)
    assert cookies.keys() == {"__Host-csrftoken", "__Host-sessionid"}
    for line in cookies.values():
        attributes = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "path=/", "samesite=lax"} <= attributes, line
        assert not [part for part in attributes if part.startswith("domain")]
    assert "httponly" in cookies["__Host-sessionid"].lower()


def test_the_session_works_for_api_and_socket(tls_server: Process, visitor: httpx.Client, alice: Person) -> None:
    cookie = {"Cookie": sign_in(visitor, alice)["__Host-sessionid"].partition(";")[0]}
    assert visitor.get("/api/auth/me", headers=cookie).json()["username"] == alice.username
    assert visitor.get("/api/latest", headers=cookie).status_code == 200
    own = tls_server.url.removeprefix("http://")
    with LiveSocket(tls_server.url, headers={**cookie, "Origin": f"https://{own}"}) as live:
        assert live.next()["user"] == alice.username
    with pytest.raises(InvalidStatus):
        LiveSocket(tls_server.url, headers={**cookie, "Origin": f"http://{own}"})


def test_a_session_cookie_without_the_host_prefix_is_ignored(visitor: httpx.Client, alice: Person) -> None:
    """A neighbouring host could set this cookie for all of its parent domain."""
    key = sign_in(visitor, alice)["__Host-sessionid"].partition(";")[0].partition("=")[2]
    assert visitor.get("/api/auth/me", headers={"Cookie": f"sessionid={key}"}).status_code == 401


def test_pages_redirect_to_https_and_the_api_does_not(tls_server: Process, alice: Person) -> None:
    with httpx.Client(base_url=tls_server.url, headers={"Host": HOST}, timeout=30) as plain:
        for path in ("/", "/login", "/admin/"):
            assert plain.get(path).headers["location"] == f"https://{HOST}{path}"
        for path in ("/api/auth/me", "/api/latest", "/livez"):
            assert plain.get(path).status_code in {200, 401}, path


def test_forwarded_proto_of_an_unknown_proxy_is_ignored(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("bare") / "server.log"
    env = {**stack.env, "TLS": "1", "ALLOWED_HOSTS": f"{HOST},127.0.0.1", "FORWARDED_ALLOW_IPS": ""}
    with server_process(env, log) as server:
        answer = httpx.get(f"{server.url}/login", headers=OVER_TLS, timeout=30)
    assert answer.status_code == 301, "the server trusted the forwarded protocol"
    assert "FORWARDED_ALLOW_IPS is empty" in log.read_text()
