"""clients/javascript in a Node.js program with an access token, against the real server. tests/e2e covers faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.process import ROOT, Process
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store

DEADLINE_S = 60
FOLLOW = """
import { LiveStream, ticketWithToken } from "wattstream-client";
const { URL: url, TOKEN: token, DEVICE: device, SINCE: since, COUNT: count } = process.env;
const told = [];
const live = new LiveStream({
  url: url.replace("http", "ws") + "/ws/live",
  ticket: ticketWithToken(url, token),
  onReadings: (id, readings) => {
    told.push(...readings.map((reading) => reading.time));
    if (told.length >= Number(count)) live.close();
  },
  onState: ({ name, code }) => name === "ended" && console.log(JSON.stringify({ told, code })),
});
live.subscribe(device, since);
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a program and the installed package."""
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/wattstream-client").symlink_to(ROOT / "clients/javascript")
    (tmp_path / "follow.mjs").write_text(FOLLOW)
    return tmp_path


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js of this machine, or the one that the project installs."""
    command = [sys.executable, "scripts/javascript", "node"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    return found.stdout.strip()


@contextmanager
def following(node: str, project: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    # Node.js 20 provides WebSocket only with this option; Node.js 22 always does.
    command = [node, "--experimental-websocket", "--no-warnings", "follow.mjs"]
    with subprocess.Popen(
        command, cwd=project, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_history_continues_with_live_readings(
    server: Process, stack: Stack, alice: Person, device: str, node: str, project: Path
) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 40)
    store(stack, readings[:30])
    publish(stack, readings[25:30])
    since = iso_from_us(readings[9].us)
    with following(node, project, URL=server.url, TOKEN=alice.token, DEVICE=device, SINCE=since, COUNT="30") as process:
        publish(stack, readings[30:])
        output, _ = process.communicate(timeout=DEADLINE_S)
    assert json.loads(output) == {"told": [iso_from_us(reading.us) for reading in readings[10:]], "code": 1000}
    assert process.returncode == 0


def test_an_invalid_token_ends_the_stream(server: Process, device: str, node: str, project: Path) -> None:
    with following(node, project, URL=server.url, TOKEN="wrong", DEVICE=device, SINCE="", COUNT="1") as process:
        output, _ = process.communicate(timeout=DEADLINE_S)
    assert json.loads(output) == {"told": [], "code": 4401}
