"""The same application on daphne, which sends no lifespan: history, static files, live."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from telemetry.times import SECOND_US
from tests.support.cast import Person
from tests.support.process import Process
from tests.support.socket import LiveSocket
from tests.support.stack import Stack, manage
from tests.support.telemetry import now_us, publish, readings_each_second, store


@pytest.fixture(scope="module")
def daphne(stack: Stack, logs: Path) -> Iterator[Process]:
    manage(stack.env, "collectstatic", "--noinput")
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "asgi_project.asgi:application"]
    with Process(command, env=stack.env, log=logs / "daphne.log") as process:
        yield process


def test_history_flows_into_live(daphne: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 60)
    store(stack, readings[:20])
    publish(stack, readings[:30])
    headers = {"Authorization": f"Bearer {alice.token}"}
    answer = httpx.get(f"{daphne.url}/api/history/{device}?range=10m", headers=headers).json()
    with LiveSocket(daphne.url, person=alice) as live:
        live.subscribe(device, since=answer["cursor"])
        live.until_type("subscribed")
        publish(stack, readings[30:])
        live.until_time(device, readings[-1].us)
        assert [ms * 1000 for ms in answer["time"]] + live.times(device) == [reading.us for reading in readings]


def test_a_stranger_is_refused(daphne: Process, charlie: Person, device: str) -> None:
    headers = {"Authorization": f"Bearer {charlie.token}"}
    assert httpx.get(f"{daphne.url}/api/history/{device}", headers=headers).status_code == 403
    with LiveSocket(daphne.url, person=charlie, path=f"/ws/live/{device}") as live:
        assert live.close_code() == 4403


def test_static_files_are_served(daphne: Process) -> None:
    answer = httpx.get(f"{daphne.url}/static/vendor/uplot/uPlot.esm.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
