"""`python -m simulator run`."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.house import METRICS, House
from telemetry.keys import device_key
from telemetry.times import SECOND_US
from testing.process import ROOT, Process
from testing.servers import writer_process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import Device

CATCH_UP_S = 5_000  # more than one batch


def device_of(stack: Stack, writer: Process) -> Device:
    device_id = f"sim_{secrets.token_hex(4)}"
    return Device(device_id, device_key(stack.env["INGEST_SECRET"], device_id), stack, writer)


def command(device: Device) -> list[str]:
    return [sys.executable, "-m", "simulator", "run", "--url", device.writer.url, "--device", device.device_id]


@contextmanager
def feeding(stack: Stack, device: Device, log: Path) -> Iterator[Process]:
    feed = Process(command(device), env=stack.env, log=log).start(wait=False)
    try:
        yield feed
    finally:
        feed.stop()


def assert_every_second(times: list[int]) -> None:
    assert times == list(range(times[0], times[-1] + SECOND_US, SECOND_US))


def test_sends_each_whole_second_of_the_house(stack: Stack, writer: Process, tmp_path: Path) -> None:
    device = device_of(stack, writer)
    with feeding(stack, device, tmp_path / "feed.log") as feed:
        wait_until(lambda: len(device.stored()) >= 3, "three seconds stored")
        assert feed.stop() == 0
    assert feed.log.read_text() == ""
    stored = device.stored()
    assert_every_second(list(stored))
    house = House(device.device_id)
    for us, row in stored.items():
        ((_, values),) = house.seconds(us // SECOND_US, us // SECOND_US + 1)
        assert row == {name: values[name][0] for name in METRICS}


def test_starts_after_the_newest_stored_reading(stack: Stack, writer: Process, tmp_path: Path) -> None:
    device = device_of(stack, writer)
    first_us = (int(time.time()) - CATCH_UP_S) * SECOND_US
    device.send(first_us)
    wait_until(lambda: len(device.stored()) == 1, "the first stored")
    with feeding(stack, device, tmp_path / "feed.log"):
        wait_until(lambda: len(device.stored()) > CATCH_UP_S, "everything caught up")
    times = list(device.stored())
    assert times[0] == first_us
    assert_every_second(times)


def test_missed_readings_are_sent_after_an_outage_of_the_writer(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "writer.log"
    with writer_process(stack.env, log) as first:
        device = device_of(stack, first)
        with feeding(stack, device, tmp_path / "feed.log") as feed:
            wait_until(lambda: len(device.stored()) >= 2, "two seconds stored")
            first.stop()
            wait_until(lambda: "writer is unavailable" in feed.log.read_text(), "the feed noticed")
            before = len(device.stored())
            with writer_process(stack.env, log, port=first.port):
                wait_until(lambda: len(device.stored()) >= before + 3, "it goes on")
                assert feed.stop() == 0
    assert "the writer is available again" in feed.log.read_text()
    assert_every_second(list(device.stored()))


def test_waits_for_a_writer_whose_queue_is_full(stack: Stack, start_writer: StartWriter, tmp_path: Path) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    writer = start_writer(TELEMETRY_ADMIN_URL=url, WRITER_QUEUE_MAX_READINGS="10000")
    device, other = device_of(stack, writer), device_of(stack, writer)
    proxy.cut()
    other.send((int(time.time()) - 20_000) * SECOND_US, 10_000)
    with feeding(stack, device, tmp_path / "feed.log") as feed:
        wait_until(lambda: "the writer answers 503" in feed.log.read_text(), "the feed was told")
        proxy.restore()
        wait_until(lambda: len(device.stored()) >= 2, "it goes on")
    assert_every_second(list(device.stored()))


def test_a_wrong_secret_ends_the_process_with_one_sentence(stack: Stack, writer: Process) -> None:
    device = device_of(stack, writer)
    done = subprocess.run(
        command(device),
        cwd=ROOT,
        env={**os.environ, **stack.env, "INGEST_SECRET": secrets.token_urlsafe(40)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "the writer rejects the device keys: set INGEST_SECRET to the writer's value\n"
