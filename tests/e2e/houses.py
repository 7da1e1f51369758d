"""Houses for the browser tests: devices whose readings the real simulator makes.

Playwright's sync API keeps an event loop running in the test's thread, where Django therefore refuses the ORM: what
needs it runs in a thread of its own (`in_thread`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from django.db import connections

from telemetry.times import SECOND_US
from testing.cast import Person, device_create
from testing.process import ROOT, START_DEADLINE_S, Process
from testing.stack import Stack
from testing.telemetry import now_us, reading_at, store
from testing.waiting import wait_until

T = TypeVar("T")
ZONE = "Europe/Berlin"
DAY_S = 86_400


def in_thread(work: Callable[[], T]) -> T:
    """Return `work()`, run in a new thread. Its database connections are closed afterwards."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def make_device(person: Person) -> str:
    return in_thread(lambda: device_create(owner=person, timezone=ZONE))


def store_month(stack: Stack, device_id: str) -> None:
    """Store a month of history: a reading every 15 minutes, and every second on the last day."""
    now = now_us()
    store(stack, (reading_at(device_id, now - age * SECOND_US) for age in range(31 * DAY_S, DAY_S, -900)))
    simulate(stack, "load", "--days", "1", "--device", device_id)


def simulate(stack: Stack, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT, env={**os.environ, **stack.env}, check=True, capture_output=True, timeout=120,
    )  # fmt: skip


@contextmanager
def simulator(stack: Stack, writer: Process, device_id: str, *, log: Path) -> Iterator[None]:
    """Run the real simulator against the real writer. Its first reading is stored on entry."""
    began = stored_readings(stack, device_id)
    command = [sys.executable, "-m", "simulator", "run", "--url", writer.url, "--device", device_id]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **stack.env}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        wait_until(
            lambda: stored_readings(stack, device_id) > began or process.poll() is not None,
            f"the simulator's first reading, see {log}",
            deadline_s=START_DEADLINE_S,
        )
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def stored_readings(stack: Stack, device_id: str, *, until: str = "infinity") -> int:
    """The number of readings of a device in TimescaleDB up to a time (ISO)."""
    with stack.admin() as connection:
        row = connection.execute(
            "SELECT count(*) FROM energy_data WHERE device_id = %s AND time <= %s", [device_id, until]
        ).fetchone()
    assert row is not None
    return int(str(row[0]))
