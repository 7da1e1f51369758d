"""A client that stops reading."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from testing.cast import Person
from testing.process import Process

RECEIVE_BUFFER_BYTES = 4096
TEXT = 0x81
ESTABLISHED = "01"  # in /proc/net/tcp


class StalledSocket:
    """A raw socket that subscribes and then stops reading."""

    def __init__(self, server: Process, person: Person, devices: Sequence[str]) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", server.port))
        self._ends = self._socket.getpeername()[1], self._socket.getsockname()[1]
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /ws/live HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {person.token}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        assert self._socket.recv(12) == b"HTTP/1.1 101"
        self._send({"type": "subscribe", "id": 1, "devices": list(devices), "since": None})

    @property
    def is_given_up(self) -> bool:
        """Whether the server has closed its end. Sent bytes may stay in the kernel for a while."""
        ends = f":{self._ends[0]:04X} ", f":{self._ends[1]:04X} {ESTABLISHED} "
        return not any(all(end in line for end in ends) for line in Path("/proc/net/tcp").read_text().splitlines())

    def _send(self, frame: dict[str, object]) -> None:
        payload = json.dumps(frame).encode()
        self._socket.sendall(bytes((TEXT, 0x80 | 126)) + len(payload).to_bytes(2, "big") + bytes(4) + payload)

    def close(self) -> None:
        self._socket.close()


def resident_bytes(process: Process) -> int:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
