"""A reading ahead of the clock is delivered when its time has come: once, in order, without a gap."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from telemetry.keys import device_key
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime, us_from_iso
from testing.cast import Person
from testing.process import Process
from testing.servers import server_process, writer_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at, store
from testing.waiting import wait_until

AHEAD_US = 10 * SECOND_US
# No reading is sent so shortly before the one ahead becomes due that it might arrive after it.
QUIET_US = 2 * SECOND_US
PAUSE_S = 0.2


@dataclass
class Scene:
    """A device, a client that follows it, and what each of them has seen. `send` stores and publishes a reading."""

    server: Process
    stack: Stack
    alice: Person
    device: str
    send: Callable[[Reading], None]
    sent: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    _live: LiveSocket | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def report(self, us: int | None = None) -> int:
        us = us or now_us()
        self.send(reading_at(self.device, us))
        self.sent.append(us)
        return us

    def report_until(self, end_us: int, *, ahead_us: int) -> None:
        while now_us() < end_us:
            if not ahead_us - QUIET_US < now_us() <= ahead_us:
                self.report()
            time.sleep(PAUSE_S)

    def stored(self) -> list[int]:
        with self.stack.admin() as connection:
            rows = connection.execute(
                "SELECT time FROM energy_data WHERE device_id = %s ORDER BY time", [self.device]
            ).fetchall()
        return [us_from_datetime(row[0]) for row in rows]  # type: ignore[arg-type]

    def wait_stored(self) -> None:
        wait_until(lambda: len(self.stored()) == len(self.sent), "every reading stored")

    def begin(self) -> None:
        """Load history and follow the device from its cursor."""
        answer = httpx.get(
            f"{self.server.url}/api/history/{self.device}",
            params={"range": "10m", "resolution": "raw"},
            headers={"Authorization": f"Bearer {self.alice.token}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        self.seen += [ms * 1000 for ms in answer.json()["time"]]
        cursor = answer.json()["cursor"]
        assert us_from_iso(cursor) <= now_us()
        self._follow(cursor)

    def _follow(self, cursor: str) -> None:
        self._live = self._stack.enter_context(LiveSocket(self.server.url, person=self.alice))
        self._live.subscribe(self.device, since=cursor)
        frame = self._live.until_type("subscribed")
        assert frame["recovered"] is True
        assert us_from_iso(frame["cursor"]) <= now_us()

    def end(self) -> None:
        """Stop following, after all that was sent and is due was received."""
        assert self._live is not None
        self.seen += self._live.times(self.device)
        assert not [frame for frame in self._live.frames if frame["type"] == "gap"]
        self._stack.close()

    def reconnect(self) -> None:
        self.end()
        self._follow(iso_from_us(self.seen[-1]))

    def check(self) -> None:
        """Wait for the last reading. Each reading was received once, in order."""
        assert self._live is not None
        self.wait_stored()
        self._live.until_time(self.device, max(self.sent))
        self.end()
        assert self.seen == self.stored() == sorted(self.sent)


@pytest.fixture
def writer_of_test(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    with writer_process(stack.env, tmp_path / "writer.log") as process:
        yield process


@pytest.fixture
def server_of_test(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    with server_process(stack.env, tmp_path / "server.log") as process:
        yield process


@pytest.fixture
def scene(stack: Stack, writer_of_test: Process, server_of_test: Process, alice: Person, device: str) -> Scene:
    """A device that reports to the writer."""
    headers = {"Authorization": f"Bearer {device_key(stack.env['INGEST_SECRET'], device)}"}

    def send(reading: Reading) -> None:
        body = {"device_id": device, "time": iso_from_us(reading.us), "load_power": 1.0}
        answer = httpx.post(f"{writer_of_test.url}/ingest", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text

    return Scene(server_of_test, stack, alice, device, send)


@pytest.mark.parametrize("fault", ["none", "reconnect", "server restart", "writer killed"])
def test_the_writer_publishes_it_when_its_time_has_come(scene: Scene, writer_of_test: Process, fault: str) -> None:
    scene.report()
    scene.wait_stored()
    scene.begin()
    ahead = scene.report(now_us() + AHEAD_US)
    scene.report_until(now_us() + SECOND_US, ahead_us=ahead)
    scene.wait_stored()
    if fault == "reconnect":
        scene.reconnect()
    elif fault == "server restart":
        scene.server.stop()
        scene.server.start()
        scene.reconnect()
    elif fault == "writer killed":
        writer_of_test.stop(signal.SIGKILL)
        writer_of_test.start()
    scene.report_until(max(ahead, now_us()) + SECOND_US, ahead_us=ahead)
    scene.check()


def test_history_requested_meanwhile_ends_before_it(scene: Scene) -> None:
    ahead = scene.report(now_us() + AHEAD_US)
    scene.report()
    scene.wait_stored()
    scene.begin()
    assert ahead not in scene.seen
    scene.report_until(ahead + SECOND_US, ahead_us=ahead)
    scene.check()


@pytest.mark.parametrize("fault", ["none", "reconnect", "server restart"])
def test_the_server_holds_what_a_foreign_writer_publishes_too_early(
    stack: Stack, server_of_test: Process, alice: Person, device: str, fault: str
) -> None:
    def send(reading: Reading) -> None:
        store(stack, [reading])
        publish(stack, [reading], ring=False)

    scene = Scene(server_of_test, stack, alice, device, send)
    scene.report()
    scene.begin()
    ahead = scene.report(now_us() + AHEAD_US)
    scene.report_until(now_us() + SECOND_US, ahead_us=ahead)
    if fault == "reconnect":
        scene.reconnect()
    elif fault == "server restart":
        scene.server.stop()
        scene.server.start()
        scene.reconnect()
    scene.report_until(max(ahead, now_us()) + SECOND_US, ahead_us=ahead)
    scene.check()
