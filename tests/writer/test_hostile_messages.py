"""No message of a device on its socket costs another device a reading."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.times import SECOND_US
from testing.hostile import CLOSING, PROTOCOL_CLOSES, HostileSocket, attacks, harmless
from testing.process import Process
from testing.servers import writer_process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.support import Device, accepted, device_new, reading, recent_us
from tests.writer.test_device_socket import ask, opened

ROUNDS = 4
LIMIT = 64 * 1024
WAITS_FOR_MORE = {"a truncated frame", "noise instead of frames", "claims a very great length"}


@pytest.fixture
def quiet_writer(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """A separate writer. Its log must contain no errors."""
    with writer_process(stack.env, tmp_path / "writer.log") as writer:
        yield writer
        log = writer.log.read_text()
        assert "Traceback" not in log
        assert not re.search(r" (ERROR|CRITICAL) ", log), log[-2000:]


def test_no_message_costs_another_device_anything(quiet_writer: Process, stack: Stack) -> None:
    """Runs every attack several times. After each, the next reading of the other device must be accepted."""
    bystander, attacker = device_new(stack, quiet_writer), device_new(stack, quiet_writer)
    first, sent = recent_us(), 0
    with opened(bystander) as connection:
        for seed in range(ROUNDS):
            rng = random.Random(seed)
            good = reading(attacker.device_id, recent_us(), load_power=1.0, battery_soc=50.0)
            for name, chunks in attacks(good, limit=LIMIT, rng=rng).items():
                _attack(attacker, chunks, name, rng)
                assert ask(connection, reading(bystander.device_id, first + sent * SECOND_US)) == accepted()
                sent += 1
    wait_until(lambda: len(bystander.stored()) == sent, "every reading stored")
    wait_until(lambda: len(bystander.ring()) == sent, "every reading published")
    assert bystander.ring() == sorted(bystander.ring())


def _attack(device: Device, chunks: list[bytes], name: str, rng: random.Random) -> None:
    with HostileSocket(device.writer.url, f"/ws/device/{device.device_id}", device.key) as hostile:
        hostile.send(chunks)
        if rng.random() < 0.3:
            hostile.break_off()
            return
        if name in WAITS_FOR_MORE:
            return  # the writer correctly waits for the rest
        hostile.send([CLOSING])
        assert hostile.ended() in {1000, *PROTOCOL_CLOSES}, name
        assert all(answer["refused"] or answer["accepted"] == 1 for answer in hostile.texts()), name


def test_unusual_but_valid_messages_are_accepted(quiet_writer: Process, stack: Stack) -> None:
    device = device_new(stack, quiet_writer)
    for seed in range(ROUNDS):
        good = reading(device.device_id, recent_us() + seed * SECOND_US)
        for name, chunks in harmless(good, limit=LIMIT, rng=random.Random(seed)).items():
            with HostileSocket(quiet_writer.url, f"/ws/device/{device.device_id}", device.key) as odd:
                odd.send(chunks)
                assert odd.texts(1) == [accepted()], name
                odd.send([CLOSING])
                assert odd.ended() == 1000, name
