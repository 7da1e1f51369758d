"""No frame that a user sends costs another user a reading."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.times import SECOND_US
from testing.cast import Person, device_create
from testing.hostile import CLOSING, PROTOCOL_CLOSES, HostileSocket, attacks, harmless
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at

ROUNDS = 4
LIMIT = 64 * 1024  # LIVE_FRAME_MAX_BYTES
GROWTH_MB = 60


@pytest.fixture
def quiet_server(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """A separate server. Its log must contain no errors."""
    with server_process(stack.env, tmp_path / "server.log") as server:
        yield server
        log = server.log.read_text()
        assert "Traceback" not in log
        assert not re.search(r" (ERROR|CRITICAL) ", log), log[-2000:]


def memory_mb(process: Process) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def subscription(device_id: str) -> dict[str, object]:
    return {"type": "subscribe", "id": 1, "devices": [device_id], "since": None, "metrics": None, "interval_ms": 0}


def test_no_frame_costs_another_user_anything(
    quiet_server: Process, stack: Stack, alice: Person, charlie: Person, device: str
) -> None:
    """charlie runs every attack several times. After each, alice must receive the next reading of her device."""
    sent: list[int] = []
    memory = 0
    with LiveSocket(quiet_server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        for seed in range(ROUNDS):
            rng = random.Random(seed)
            for name, chunks in attacks(subscription(device), limit=LIMIT, rng=rng).items():
                _attack(quiet_server, charlie, chunks, name, rng)
                sent.append(now_us())
                publish(stack, [reading_at(device, sent[-1])])
                live.until_time(device, sent[-1])
            memory = memory or memory_mb(quiet_server)
        assert live.times(device) == sent
        assert {frame["type"] for frame in live.frames} == {"welcome", "subscribed", "reading"}
    assert memory_mb(quiet_server) - memory < GROWTH_MB


def _attack(server: Process, person: Person, chunks: list[bytes], name: str, rng: random.Random) -> None:
    with HostileSocket(server.url, "/ws/live", person.token) as hostile:
        hostile.send(chunks)
        if rng.random() < 0.3:
            hostile.break_off()
            return
        if name in ("a truncated frame", "noise instead of frames", "claims a very great length"):
            return  # the server rightly waits for the rest
        hostile.send([CLOSING])
        assert hostile.ended() in {1000, 4400, *PROTOCOL_CLOSES}, name


def test_unusual_but_valid_frames_are_carried_out(quiet_server: Process, stack: Stack, charlie: Person) -> None:
    for seed in range(ROUNDS):
        device_id = device_create(owner=charlie)
        for name, chunks in harmless(subscription(device_id), limit=LIMIT, rng=random.Random(seed)).items():
            with HostileSocket(quiet_server.url, "/ws/live", charlie.token) as odd:
                odd.send(chunks)
                assert [frame["type"] for frame in odd.texts(2)] == ["welcome", "subscribed"], name
                odd.send([CLOSING])
                assert odd.ended() == 1000, name


def test_a_subscription_to_many_foreign_devices_gets_one_error_frame(
    quiet_server: Process, stack: Stack, alice: Person, charlie: Person, device: str
) -> None:
    with LiveSocket(quiet_server.url, person=charlie) as live:
        for start in range(0, 2000, 200):
            live.subscribe(device, *(f"device_{number}" for number in range(start, start + 199)), request_id=start)
            error = live.until_type("error")
            assert (error["id"], error["code"], len(error["devices"])) == (start, "forbidden", 200)
        assert [frame["type"] for frame in live.frames] == ["welcome", *["error"] * 10], "one for each request"
        publish(stack, [reading_at(device, now_us() - SECOND_US)])
        live.send(type="ping", id="last")
        assert live.until_type("pong")["id"] == "last"
        assert live.times(device) == []
