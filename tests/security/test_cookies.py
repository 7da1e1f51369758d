"""CVE-2024-7592: decoding a cookie with many backslashes takes quadratic time in affected versions of Python."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from asgi_project.cookies import cookies_clean
from testing.process import Process
from tests.security.raw import RawClient

pytestmark = pytest.mark.processes

HOSTILE = 'a="' + "\\" * 40_000 + '"'
CALM_CPU_S = 2.0  # of the server, for all requests; one decoding took 4.4 s


def cpu_s(process: Process) -> float:
    """The CPU time of a process (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/devices", "/login", "/api/latest"])
def test_backslashes_cost_nothing(server: Process, path: str) -> None:
    before = cpu_s(server)
    httpx.get(server.url + path, headers={"Cookie": HOSTILE}, timeout=60)
    assert cpu_s(server) - before < CALM_CPU_S


def test_backslashes_cost_nothing_at_a_handshake(server: Process) -> None:
    before = cpu_s(server)
    lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Cookie: {HOSTILE[:8000]}"]
    with RawClient(server) as stranger:
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        stranger.send("\r\n".join(["GET /ws/live HTTP/1.1", "Host: localhost", key, *lines, "", ""]).encode())
        stranger.until(b"101 ")
    assert cpu_s(server) - before < CALM_CPU_S


def test_other_cookies_are_kept() -> None:
    scope = {"headers": [(b"cookie", b'x="\\\\"; sessionid=abc; y=1'), (b"host", b"\\")]}
    cookies_clean(scope)  # type: ignore[arg-type]
    assert scope["headers"] == [(b"cookie", b" sessionid=abc; y=1"), (b"host", b"\\")]
