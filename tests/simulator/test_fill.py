"""`python -m simulator load`."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from simulator.fill import days
from simulator.house import METRICS, House
from simulator.noise import DAY_S
from telemetry.times import SECOND_US, us_from_iso
from testing.process import ROOT, Process
from testing.stack import Stack
from tests.writer.support import Device

UNTIL = "2026-03-05T06:00:00Z"
UNTIL_S = us_from_iso(UNTIL) // SECOND_US


def load(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "load", *arguments],
        cwd=ROOT,
        env={**os.environ, **stack.env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def device(stack: Stack, writer: Process) -> Device:
    return Device(f"sim_{secrets.token_hex(4)}", "", stack, writer)


def test_a_span_is_filled_and_a_second_run_loads_nothing(stack: Stack, device: Device) -> None:
    said = load(stack, "--days", "1", "--until", UNTIL, "--device", device.device_id)
    assert said.startswith("loaded 86,400 of 86,400 readings, ")
    stored = device.stored()
    assert list(stored) == [(UNTIL_S - DAY_S + offset) * SECOND_US for offset in range(DAY_S)]
    house = House(device.device_id)
    for first_s, values in house.seconds(UNTIL_S - 100, UNTIL_S):
        for offset in range(len(values["load_power"])):
            row = stored[(first_s + offset) * SECOND_US]
            assert row == {name: values[name][offset] for name in METRICS}
    again = load(stack, "--days", "1", "--until", UNTIL, "--device", device.device_id)
    assert again == "nothing to load: all readings are stored\n"


def test_only_missing_readings_before_and_after_are_loaded(stack: Stack, device: Device) -> None:
    load(stack, "--days", "1", "--until", UNTIL, "--device", device.device_id)
    said = load(stack, "--days", "2", "--until", "2026-03-05T07:00:00Z", "--device", device.device_id)
    assert said.startswith(f"loaded {DAY_S + 3600 - 3600:,} of")
    times = list(device.stored())
    assert times == [(UNTIL_S + 3600 - 2 * DAY_S + offset) * SECOND_US for offset in range(2 * DAY_S)]


def test_an_invalid_device_id_is_refused(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "load", "--device", "a b"],
        cwd=ROOT,
        env={**os.environ, **stack.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "'a b' is not 1 to 64 of" in done.stderr


def test_days_are_cut_at_midnight() -> None:
    assert days(10, 10) == []
    assert days(10, 20) == [(10, 20)]
    assert days(DAY_S - 1, 2 * DAY_S + 1) == [(DAY_S - 1, DAY_S), (DAY_S, 2 * DAY_S), (2 * DAY_S, 2 * DAY_S + 1)]
    assert days(0, DAY_S) == [(0, DAY_S)]
