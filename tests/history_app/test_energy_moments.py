"""Energy while the rollup is killed, and beside a writer: every answer matches the readings stored at its moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

import pytest

from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.energy_oracle import power_sums, series
from testing.process import ROOT
from testing.stack import Stack
from testing.telemetry import now_us, store
from testing.waiting import wait_until
from tests.history_app.energy import DAY_US, HOUR_US, Row, ask, assert_period, is_close, reading
from tests.history_app.test_history import us

START = us("2026-03-10T00:00:00Z")
END = START + 3 * DAY_US
Points = list[tuple[int, float | None]]


def stored(device_id: str, points: Points) -> list[Reading]:
    return [reading(device_id, at, load=value) for at, value in points]


@contextmanager
def rollup(stack: Stack, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m rollup`, and kill it at the end."""
    env = {**os.environ, **stack.env, "ROLLUP_POLL_MS": "20"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rollup", *arguments], cwd=ROOT, env=env, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)


@pytest.mark.processes
def test_a_killed_rollup_changes_no_answer(stack: Stack, alice: Person, device: str) -> None:
    points: Points = [(START + at * SECOND_US, at % 977 - 300.0) for at in range(0, 3 * 86_400, 30)]
    rows: list[Row] = [(at, {"load_power": value}) for at, value in points]
    store(stack, stored(device, points))
    with stack.admin() as admin:

        def left() -> int:
            row = admin.execute("SELECT count(*) FROM energy_data_changes WHERE device_id = %s", [device]).fetchone()
            assert row is not None
            return int(str(row[0]))

        before = left()
        while before:
            with rollup(stack):
                # The log shrinks with each commit of the rollup; the kill hits whatever statement comes next.
                wait_until(partial(lambda many: left() < many, before), "the rollup has made progress", deadline_s=120)
            before = left()
            body = ask(alice, device, period="day", start=iso_from_us(START), end=iso_from_us(END))
            for number, found in enumerate(body["periods"]):
                low = START + number * DAY_US
                assert_period(found, rows, low, low + DAY_US, now_us())


@pytest.mark.processes
def test_every_answer_beside_a_writer_matches_a_committed_prefix(stack: Stack, alice: Person, device: str) -> None:
    """Batches of readings arrive, some of them earlier than the last, while the rollup works."""
    batches: list[Points] = []
    for number in range(60):
        start = START + (number if number % 3 else 59 - number) * HOUR_US + number * SECOND_US
        batches.append([(start + at * SECOND_US, float((number + at) % 911)) for at in range(0, 1_800, 20)])
    expected = [
        power_sums(series([point for batch in batches[:count] for point in batch], 2**62), START, START + 3 * DAY_US,
                   now_us()).positive / 3.6e6 for count in range(len(batches) + 1)
    ]  # fmt: skip
    committed, go_on = [0], Event()
    started = [0]

    def write() -> None:
        for batch in batches:
            assert go_on.wait(timeout=120)
            go_on.clear()
            started[0] += 1
            store(stack, stored(device, batch))
            committed[0] += 1

    writer = Thread(target=write)
    writer.start()
    with rollup(stack):
        while committed[0] < len(batches):
            go_on.set()
            assert writer.is_alive() or committed[0] == len(batches)
            at_least = committed[0]
            (found,) = ask(alice, device, period="year", start=iso_from_us(START), end=iso_from_us(START + 1))[
                "periods"
            ]
            at_most = started[0]
            kwh = found["consumed_kwh"] or 0.0
            assert any(is_close(kwh, one) for one in expected[at_least : at_most + 1]), (kwh, at_least, at_most)
        writer.join(timeout=60)
    (found,) = ask(alice, device, period="year", start=iso_from_us(START), end=iso_from_us(END))["periods"]
    assert is_close(found["consumed_kwh"], expected[-1])
