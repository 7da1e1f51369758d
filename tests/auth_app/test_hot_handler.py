"""The handler of hot views: its checks and their order."""

from __future__ import annotations

import socket

import httpx
import pytest

from testing.process import Process

DEADLINE_S = 10.0
HEAD = (
    "POST /api/history/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
)


@pytest.mark.parametrize("credentials", ["", "Authorization: Bearer wst_nobody\r\n"])
def test_missing_access_is_refused_before_the_body_arrives(server: Process, credentials: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        connection.sendall(f"{HEAD}{credentials}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_public_view_names_the_accepted_methods(server: Process) -> None:
    answer = httpx.post(f"{server.url}/livez")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_request_gets_the_headers_of_a_get(server: Process) -> None:
    answer = httpx.head(f"{server.url}/api/schema")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["ETag"]
