"""`./scripts/demo` starts everything, history continues with live readings, and Ctrl-C leaves no process running."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from testing.process import ROOT, free_port
from testing.socket import LiveSocket
from testing.waiting import wait_until

pytestmark = pytest.mark.processes

DATABASES = ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "REDIS_URL", "DATABASE_URL")
READY = "Ctrl-C stops everything"


def test_the_demo_starts_and_stops(tmp_path: Path) -> None:
    """One day of history instead of thirty saves time."""
    log = tmp_path / "demo.log"
    env = {name: value for name, value in os.environ.items() if name not in DATABASES}
    with log.open("w") as output:
        command = ["scripts/demo", "--port", str(free_port()), "--days", "1"]
        demo = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: demo.poll() is not None or READY in log.read_text(), "the demo is up", deadline_s=240)
        assert READY in log.read_text(), log.read_text()
        page = use_it(log.read_text())
    finally:
        demo.send_signal(signal.SIGINT)
        code = demo.wait(60)
    assert code == 0, log.read_text()
    assert is_refused(page), "the server still listens"
    left = subprocess.run(["ps", "-A", "-o", "sid=,args="], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if page.rpartition(":")[2] in line], left


def use_it(told: str) -> str:
    """Log in with the printed password, load history, wait for a newer live reading. Returns the page's address."""
    page = found(r"page +(http://\S+)", told)
    password = found(r"sign in +alice / (\S+)", told)
    with httpx.Client(base_url=page, timeout=30) as http:
        token = http.post("/api/auth/login", json={"username": "alice", "password": password}).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert {item["device_id"] for item in http.get("/api/devices", headers=headers).json()} == {
            "demo_house", "demo_barn",
        }  # fmt: skip
        answer = http.get("/api/history/demo_house?range=10m", headers=headers).json()
        assert answer["points"] > 500
        assert http.get("/", follow_redirects=True).status_code == 200
    with LiveSocket(page, headers=headers) as live:
        live.subscribe("demo_house", since=answer["cursor"])
        live.until(lambda frame: frame["type"] == "reading")
        times = live.times("demo_house")
        assert times == sorted(set(times))
    return page


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


def is_refused(page: str) -> bool:
    host, _, port = page.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, int(port))) != 0
