"""A client that stops reading harms nobody but itself."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.drama import Drama
from tests.chaos.flood import flood
from tests.support.cast import Person, device_create
from tests.support.process import Process
from tests.support.waiting import wait_until_async

MEMORY_BOUND_BYTES = 64 * 1024 * 1024
RECEIVE_BUFFER_BYTES = 4096
TEXT = 0x81
ESTABLISHED = "01"  # in /proc/net/tcp


class StalledSocket:
    """A raw socket that subscribes and then reads nothing."""

    def __init__(self, server: Process, person: Person, devices: Sequence[str]) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", server.port))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /ws/live HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {person.token}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        assert self._socket.recv(12) == b"HTTP/1.1 101"
        self._send({"type": "subscribe", "id": 1, "devices": list(devices), "since": None})

    @property
    def is_given_up(self) -> bool:
        """Whether the server's end is no longer an open connection (what it sent stays in the kernel for a while)."""
        ends = f":{self._socket.getpeername()[1]:04X} ", f":{self._socket.getsockname()[1]:04X} {ESTABLISHED} "
        return not any(all(end in line for end in ends) for line in Path("/proc/net/tcp").read_text().splitlines())

    def _send(self, frame: dict[str, object]) -> None:
        payload = json.dumps(frame).encode()
        self._socket.sendall(bytes((TEXT, 0x80 | 126)) + len(payload).to_bytes(2, "big") + bytes(4) + payload)

    def close(self) -> None:
        self._socket.close()


def resident_bytes(process: Process) -> int:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def flooded(watching_person: Person) -> str:
    """The id of a device that is not part of the record."""
    return device_create(owner=watching_person)


async def test_stalled_readers_leave_the_others_alone_and_are_given_up(
    act: Drama, watching_person: Person, flooded: str
) -> None:
    server = act.site.servers[0]
    memory = resident_bytes(server)
    stalled = [StalledSocket(server, watching_person, [flooded, *act.devices]) for _ in range(5)]
    try:

        async def are_given_up() -> bool:
            await asyncio.to_thread(flood, act.site, flooded)
            return all(each.is_given_up for each in stalled)

        await wait_until_async(are_given_up, "the stalled sockets are gone", deadline_s=60)
        assert resident_bytes(server) - memory < MEMORY_BOUND_BYTES
    finally:
        for each in stalled:
            each.close()
    await act.flow(3)
    await act.settle()
