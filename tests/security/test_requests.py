"""A stranger sends heads and bodies that are too long, too slow or too many, to the production server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testing.cast import Person
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack
from testing.stalled import resident_bytes
from tests.security.raw import RawClient

pytestmark = pytest.mark.processes

MB = 1024 * 1024
GROWTH_BYTES = 50 * MB
SLOW = 5
ANONYMOUS_BYTES = 64 * 1024
BODIES = [
    "/api/auth/login",
    "/api/auth/register",
    "/api/auth/password",
    "/api/history/query",
    "/login",
    "/none",
    "/livez",
]


@pytest.fixture(scope="module")
def server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server with short timeouts."""
    env = {"HTTP_HEAD_TIMEOUT_S": "4", "HTTP_BODY_TIMEOUT_S": "6", "HTTP_SLOW_PER_ADDRESS": str(SLOW)}
    with server_process({**stack.env, **env}, logs / "requests.log") as process:
        yield process


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def status(response: bytes) -> int:
    """The status of a problem document, which has to say the same."""
    first, _, body = response.partition(b"\r\n\r\n")
    code = int(first.split(b" ")[1])
    assert json.loads(body)["status"] == code
    return code


def lives(server: Process) -> bool:
    return httpx.get(f"{server.url}/livez", timeout=30).status_code == 200


def test_a_head_without_end_is_431_and_is_not_kept(server: Process) -> None:
    before = resident_bytes(server)
    with RawClient(server) as stranger:
        stranger.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        sent = stranger.pour(b"x" * 65_536, most=64 * MB)
        assert sent < 32 * MB, "the server went on reading"
    assert resident_bytes(server) - before < GROWTH_BYTES
    assert lives(server)


@pytest.mark.parametrize(
    "lines",
    [[f"X-Long: {'x' * 70_000}"], ["X-Many: 1"] * 201, [f"X-{number}: {'y' * 7_000}" for number in range(10)]],
    ids=["long", "many", "together"],
)
def test_a_head_that_is_too_large_is_431(server: Process, lines: list[str]) -> None:
    with RawClient(server) as stranger:
        stranger.send(head("/livez", *lines, method="GET"))
        assert status(stranger.response()) == 431


def test_a_thousand_device_ids_fit_in_the_request_line(server: Process, alice: Person) -> None:
    ids = ",".join(f"{number:060}" for number in range(1_000))
    assert (
        httpx.get(f"{server.url}/api/latest?devices={ids}", timeout=30, headers=alice.http.headers).status_code == 403
    )


def test_half_a_head_is_408(server: Process) -> None:
    with RawClient(server) as stranger:
        stranger.send(b"GET /livez HTTP/1.1\r\nHost: local")
        assert status(stranger.response()) == 408


def test_a_client_that_sends_nothing_is_closed(server: Process) -> None:
    with RawClient(server) as stranger:
        assert stranger.response() == b""


def test_blank_lines_between_requests_do_not_keep_a_connection_open(server: Process) -> None:
    with RawClient(server) as stranger:
        stranger.send(head("/livez", method="GET"))
        stranger.until(b"ok")
        stranger.send(b"\r\n")
        stranger.response()


@pytest.mark.parametrize("path", ["/api/auth/login", "/login"])
def test_half_a_body_is_408(server: Process, path: str) -> None:
    with RawClient(server) as stranger:
        stranger.send(head(path, "Content-Type: application/json", "Content-Length: 1000") + b'{"username"')
        assert status(stranger.response()) == 408


@pytest.mark.parametrize("framing", ["Content-Length: 200000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", BODIES)
def test_a_body_of_200_mb_is_refused_and_is_not_kept(server: Process, path: str, framing: str) -> None:
    before = resident_bytes(server)
    chunk = b"x" * 65_536
    with RawClient(server) as stranger:
        stranger.send(head(path, "Content-Type: application/json", framing))
        if framing.startswith("T"):
            chunk = b"10000\r\n" + chunk + b"\r\n"
        assert stranger.pour(chunk, most=200 * MB) < 64 * MB, "the server went on reading"
    assert resident_bytes(server) - before < GROWTH_BYTES
    assert lives(server)


def test_trailers_are_bounded(server: Process) -> None:
    with RawClient(server) as stranger:
        stranger.send(
            head("/api/auth/login", "Content-Type: application/json", "Transfer-Encoding: chunked") + b"0\r\n"
        )
        assert stranger.pour(b"X-Trailer: y\r\n" * 5_000, most=64 * MB) < 32 * MB


def test_the_announced_length_alone_is_413_on_a_public_route(server: Process) -> None:
    with RawClient(server) as stranger:
        length = f"Content-Length: {ANONYMOUS_BYTES + 1}"
        stranger.send(head("/api/auth/login", "Content-Type: application/json", length, "Connection: close"))
        assert status(stranger.response()) == 413


@pytest.mark.parametrize("path", ["/api/auth/password", "/api/auth/tokens", "/api/devices/claim", "/api/history/query"])
def test_credentials_are_checked_before_a_body_is_read(server: Process, path: str) -> None:
    with RawClient(server) as stranger:
        stranger.send(head(path, "Content-Type: application/json", "Content-Length: 1000", "Connection: close"))
        assert status(stranger.response()) == 401


def test_a_keep_alive_connection_survives_a_refused_body(server: Process) -> None:
    """The rest of a short body is read and dropped: the next request is answered."""
    with RawClient(server) as stranger:
        stranger.send(head("/api/auth/password", "Content-Type: application/json", "Content-Length: 9"))
        stranger.until(b"unauthorized")
        stranger.send(b'{"a": 12}' + head("/livez", method="GET"))
        stranger.until(b"200 OK")


def test_slow_requests_of_one_address_are_few(server: Process) -> None:
    """Of 50 half requests, most are reset before their timeout, and another address is not affected."""
    hostile, other = "127.9.9.9", "127.8.8.8"
    with contextlib.ExitStack() as stack:
        half = [stack.enter_context(RawClient(server, source=hostile)) for _ in range(50)]
        for client in half:
            client.send(b"GET /livez HTTP/1.1\r\n")
        with RawClient(server, source=other) as patient:
            patient.send(b"GET /livez HTTP/1.1\r\n")
            answers = [client.response() for client in half]
            assert sum(bool(answer) for answer in answers) == SLOW
            assert status(patient.response()) == 408
    assert lives(server)


def test_half_bodies_of_many_connections_are_not_kept(server: Process) -> None:
    before = resident_bytes(server)
    megabyte = b"x" * MB
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stranger = stack.enter_context(RawClient(server))
            stranger.send(head("/api/history/query", "Content-Type: application/json", f"Content-Length: {MB + 1}"))
            with contextlib.suppress(ConnectionError):
                stranger.send(megabyte)
        assert lives(server)
        assert resident_bytes(server) - before < GROWTH_BYTES


def test_pipelined_requests_are_bounded(server: Process) -> None:
    with RawClient(server) as stranger, contextlib.suppress(ConnectionError):
        stranger.send(head("/livez", method="GET") * 2_000)
        assert stranger.response().count(b"200 OK") < 2_000
    assert lives(server)


def test_a_login_works_beside_all_this(server: Process, alice: Person) -> None:
    body = {"username": alice.username, "password": alice.password}
    assert httpx.post(f"{server.url}/api/auth/login", json=body, timeout=30).status_code == 200


def test_no_slow_connection_stays_counted(server: Process) -> None:
    """After an attack has ended, the address may be slow again."""
    hostile = "127.7.7.7"
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            half = [stack.enter_context(RawClient(server, source=hostile)) for _ in range(SLOW)]
            for client in half:
                client.send(b"GET /livez HTTP/1.1\r\n")
            assert all(client.response() for client in half)


def test_what_is_not_http_is_400(server: Process) -> None:
    with RawClient(server) as stranger:
        stranger.send(b"\x16\x03\x01 not HTTP \r\n\r\n")
        assert status(stranger.response()) == 400
