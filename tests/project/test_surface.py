"""Information that the server reveals and requests that it accepts from attackers."""

from __future__ import annotations

import socket

import httpx
import pytest

from testing.process import Process

PATHS = [
    "/",
    "/login",
    "/livez",
    "/api/auth/me",
    "/api/latest",
    "/static/dashboard/pages/dashboard/page.js",
    "/admin/",
    "/nothing",
]
DEADLINE_S = 20


@pytest.mark.parametrize("path", PATHS)
def test_trace_does_not_echo_the_request(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.request("TRACE", path, headers={"X-Marked": "echo-of-this"})
    assert answer.headers.get("content-type") != "message/http"  # RFC 9110, section 9.3.8
    assert "echo-of-this" not in f"{answer.text} {answer.headers}"


@pytest.mark.parametrize("path", PATHS)
def test_no_response_names_the_software(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert not {"server", "x-powered-by", "via"} & answer.headers.keys()


def test_files_of_the_checkout_are_not_served(anonymous: httpx.Client) -> None:
    for path in ("/.git/config", "/.env", "/manage.py", "/static/../.env", "/static/%2e%2e/.env", "/requirements/"):
        assert anonymous.get(path).status_code == 404, path


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ],
)
def test_ambiguous_framing_does_not_smuggle_a_request(server: Process, framing: str) -> None:
    """RFC 9112, section 6.3: ambiguous framing must not allow request smuggling past a proxy."""
    smuggled = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        head = f"POST /api/history/query HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        connection.sendall(f"{head}{framing}{smuggled}".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"HTTP/1.1 200" not in answer
