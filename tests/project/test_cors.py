"""CORS: only origins in ALLOWED_ORIGINS may read the API in a browser, on hot and cold routes, without cookies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured

from core.env import env_origins
from testing.cast import Person
from testing.process import ROOT, Process, free_port
from testing.servers import server_process
from testing.stack import Stack

FRIEND = "https://energy.example.com"
STRANGER = "https://evil.example"
HOT_AND_COLD = ["/api/latest", "/api/auth/me", "/api/history/ems_001", "/api/devices", "/api/nothing"]


@pytest.fixture(scope="module")
def open_server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    env = {**stack.env, "ALLOWED_ORIGINS": f"{FRIEND},http://127.0.0.1:9"}
    with server_process(env, tmp_path_factory.mktemp("cors") / "server.log") as process:
        yield process


def preflight(
    server: Process, path: str, origin: str, method: str = "GET", headers: str = "authorization"
) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return httpx.options(server.url + path, headers=asked, timeout=30)


def words(answer: httpx.Response, name: str) -> set[str]:
    return {word.strip().lower() for word in answer.headers.get(name, "").split(",")}


@pytest.mark.parametrize("path", HOT_AND_COLD)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_allowed_origins_may_send_tokens(open_server: Process, path: str, method: str) -> None:
    answer = preflight(open_server, path, FRIEND, method, "authorization,content-type,if-none-match,last-event-id")
    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert method.lower() in words(answer, "access-control-allow-methods")
    assert {"authorization", "content-type", "if-none-match"} <= words(answer, "access-control-allow-headers")
    assert "origin" in words(answer, "vary")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", HOT_AND_COLD)
def test_allowed_origins_may_read_responses_and_headers(open_server: Process, alice: Person, path: str) -> None:
    for headers in ({"Authorization": f"Bearer {alice.token}"}, {}):  # refusals must be readable too
        answer = httpx.get(open_server.url + path, headers={**headers, "Origin": FRIEND}, timeout=30)
        assert answer.headers.get_list("access-control-allow-origin") == [FRIEND]
        assert "origin" in words(answer, "vary")
        assert {"etag", "retry-after", "content-disposition"} <= words(answer, "access-control-expose-headers")
        assert "access-control-allow-credentials" not in answer.headers


def test_an_export_varies_by_encoding_and_by_origin(open_server: Process, alice: Person, device: str) -> None:
    headers = {"Authorization": f"Bearer {alice.token}", "Origin": FRIEND}
    answer = httpx.get(
        f"{open_server.url}/api/history/{device}/export?start=1&end=2&format=csv", headers=headers, timeout=30
    )
    assert answer.status_code == 200
    assert {"accept-encoding", "origin"} <= words(answer, "vary")


@pytest.mark.parametrize(
    "origin", [STRANGER, "null", f"{FRIEND}.evil.example", "http://energy.example.com", f"{FRIEND}:8443"]
)
@pytest.mark.parametrize("path", ["/api/latest", "/api/devices"])
def test_other_origins_are_refused(open_server: Process, alice: Person, path: str, origin: str) -> None:
    headers = {"Authorization": f"Bearer {alice.token}", "Origin": origin}
    for answer in (
        preflight(open_server, path, origin),
        httpx.get(open_server.url + path, headers=headers, timeout=30),
    ):
        assert "access-control-allow-origin" not in answer.headers
        assert "origin" in words(answer, "vary"), "a cache must not return one origin's response to another"


def test_only_the_api_allows_other_origins(open_server: Process) -> None:
    for path in ("/login", "/", "/admin/", "/livez", "/static/dashboard/pages/dashboard/page.js"):
        answer = httpx.get(open_server.url + path, headers={"Origin": FRIEND}, timeout=30)
        assert "access-control-allow-origin" not in answer.headers, path


def test_no_origin_is_allowed_by_default(server: Process) -> None:
    assert "access-control-allow-origin" not in preflight(server, "/api/latest", FRIEND).headers
    assert (
        "access-control-allow-origin" not in httpx.get(f"{server.url}/api/latest", headers={"Origin": FRIEND}).headers
    )


@pytest.mark.parametrize(
    "wrong",
    ["*", "null", "energy.example.com", f"{FRIEND}/", "https://a@b.example", "https://b.example:x", f"{FRIEND},*"],
)
def test_invalid_origins_are_rejected(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", wrong)
    with pytest.raises(ImproperlyConfigured, match=r"^ALLOWED_ORIGINS has .*; accepted are origins such as"):
        env_origins("ALLOWED_ORIGINS")


def test_the_server_does_not_start_with_a_wildcard_origin(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "asgi_project.server.serve", "--port", str(free_port())],
        cwd=ROOT, env={**os.environ, **stack.env, "ALLOWED_ORIGINS": "*"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("serve: ALLOWED_ORIGINS has '*'"), done.stderr
