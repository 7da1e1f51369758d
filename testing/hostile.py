"""A websocket client that sends arbitrary bytes, and collections of invalid and unusual input."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

DEADLINE_S = 20.0
TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9
# Close codes for violations of RFC 6455: protocol error, unsupported data, invalid UTF-8, message too big. None: the
# server drops the connection without a close frame (telemetry/logs.py).
PROTOCOL_CLOSES = {1002, 1003, 1007, 1009, None}


class HostileSocket:
    """A websocket after a valid handshake."""

    def __init__(self, url: str, path: str, token: str, *, receive_buffer: int | None = None) -> None:
        parts = urlsplit(url)
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(DEADLINE_S)
        self._socket.connect((str(parts.hostname), parts.port or 80))
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            f"Authorization: Bearer {token}",
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self._parser = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=None)
        self._frames: list[Frame] = []

    def send(self, chunks: Sequence[bytes]) -> None:
        """Send all chunks, or as many as the server accepts before it closes the connection."""
        try:
            for chunk in chunks:
                self._socket.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def flood(self, chunk: bytes, *, most: int, patience_s: float) -> tuple[int, bool]:
        """Send `chunk` repeatedly, without reading, until the server accepts no more.

        Returns the number of accepted bytes (at most `most`), and whether the server broke the connection.
        """
        self._socket.settimeout(patience_s)
        taken = 0
        try:
            while taken < most:
                taken += self._socket.send(chunk)
        except TimeoutError:
            return taken, False
        except OSError:
            return taken, True
        finally:
            self._socket.settimeout(DEADLINE_S)
        return taken, False

    def send_while_reading(self, data: bytes) -> None:
        """Send `data` from a thread, so that the caller can read: a server may pause until its responses are read."""
        threading.Thread(target=self.send, args=([data],), daemon=True).start()

    def ended(self) -> int | None:
        """Wait until the server closes.

        Returns the code of its close frame, or None if the connection ended without one.
        """
        try:
            while self._receive():
                pass
        except ConnectionResetError:
            pass
        closes = [frame for frame in self._frames if frame.opcode is Opcode.CLOSE]
        return struct.unpack("!H", bytes(closes[-1].data)[:2])[0] if closes and closes[-1].data else None

    def _receive(self) -> bool:
        data = self._socket.recv(65_536)
        self._parser.receive_data(data)
        self._frames += [event for event in self._parser.events_received() if isinstance(event, Frame)]
        return bool(data)

    def texts(self, at_least: int = 0) -> list[dict[str, Any]]:
        """Wait for at least `at_least` JSON objects and return all objects received so far."""
        while len(found := self._texts()) < at_least:
            assert self._receive(), f"closed after {found}"
        return found

    def _texts(self) -> list[dict[str, Any]]:
        return [json.loads(bytes(frame.data)) for frame in self._frames if frame.opcode is Opcode.TEXT]

    def break_off(self) -> None:
        """End the connection with a reset, as a crashed client does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def wire(
    payload: bytes, *, opcode: int = TEXT, fin: bool = True, masked: bool = True, rsv: int = 0, told: int | None = None
) -> bytes:
    """Return a frame (RFC 6455, 5.2). `told`: the length in its header, if not that of the payload."""
    length = len(payload) if told is None else told
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head = bytes((first, mask_bit | length))
    elif length < 65_536:
        head = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    whole = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return head + mask + whole.to_bytes(len(payload), "big")


CLOSING = wire(struct.pack("!H", 1000), opcode=CLOSE)


def attacks(good: Mapping[str, Any], *, limit: int, rng: random.Random) -> dict[str, list[bytes]]:
    """Return invalid input by description. `good`: a message that the server accepts; `limit`: its maximum length."""
    text = json.dumps(good).encode()
    return {
        "noise instead of frames": [rng.randbytes(rng.randint(1, 3000))],
        "noise in a text frame": [wire(rng.randbytes(rng.randint(1, 300)))],
        "noise in a text frame, followed by a close frame in the same read": [wire(b"\xb0") + CLOSING],
        "noise in a binary frame": [wire(rng.randbytes(rng.randint(1, 300)), opcode=BINARY)],
        "text that is not JSON": [wire("".join(rng.choices('{}[]",:tfn0.e-é\u2028', k=50)).encode())],
        "truncated JSON": [wire(text[: rng.randint(0, len(text) - 1)])],
        "a truncated frame": [wire(text)[: rng.randint(1, len(text))]],
        "a truncated frame before a valid one": [wire(text)[: rng.randint(1, len(text))], wire(text)],
        "longer than the limit": [wire(b'"' + b"x" * rng.randint(limit, 4 * limit) + b'"')],
        "claims a very great length": [wire(b"x" * 1000, told=2**62)],
        "fragments longer than the limit": [
            wire(b'"', fin=False),
            *[wire(b"x" * 1000, opcode=CONTINUATION, fin=False) for _ in range(limit // 1000 + 10)],
        ],
        "a continuation without a first frame": [wire(text, opcode=CONTINUATION)],
        "not masked": [wire(text, masked=False)],
        "reserved bits": [wire(text, rsv=rng.randint(1, 7))],
        "a reserved opcode": [wire(text, opcode=rng.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]))],
        "an oversized ping": [wire(b"x" * 126, opcode=PING)],
        "a fragmented ping": [wire(b"x", opcode=PING, fin=False)],
        "a close with half a code": [wire(b"\x03", opcode=CLOSE)],
        "a close with an undefined code": [wire(struct.pack("!H", rng.choice([0, 999, 1005, 65_535])), opcode=CLOSE)],
        "very deep": [wire(b"[" * (limit // 2))],
        "deep objects": [wire(b'{"type":' * (limit // 16))],
        "a lone surrogate": [wire(b'{"type": "\\ud800", "id": "\\udfff"}')],
        "a number with too many digits": [wire(b'{"type": "ping", "id": 1' + b"0" * 5000 + b"}")],
        "NaN": [wire(b'{"type": "ping", "id": NaN}')],
        **{f"{name} of another type": [wire(_mutated(good, name, rng))] for name in good},
    }


def harmless(good: Mapping[str, Any], *, limit: int, rng: random.Random) -> dict[str, list[bytes]]:
    """Return unusual but valid input by description. The server must handle each like `good`."""
    text = json.dumps(good).encode()
    padded = text[:-1] + b" " * (limit - len(text)) + b"}"
    cuts = sorted(rng.sample(range(1, len(text)), 5))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    frames = [
        wire(part, opcode=TEXT if index == 0 else CONTINUATION, fin=index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]
    return {
        "one byte at a time": [bytes((byte,)) for byte in wire(text)],
        "in fragments": frames,
        "in fragments with pings in between": [piece for frame in frames for piece in (wire(b"?", opcode=PING), frame)],
        "of the maximum length": [wire(padded)],
    }


def _mutated(good: Mapping[str, Any], name: str, rng: random.Random) -> bytes:
    values: list[Callable[[], Any]] = [
        lambda: None,
        lambda: rng.random() * 10 ** rng.randint(-300, 300),
        lambda: rng.randint(-(10**30), 10**30),
        lambda: "".join(map(chr, rng.choices([*range(1, 0xD7FF)], k=rng.randint(1, 2000)))),
        lambda: "\x00" * rng.randint(1, 100),
        lambda: [[]] * rng.randint(1, 1000),
        lambda: {str(number): None for number in range(rng.randint(1, 1000))},
        lambda: [f"device_{number}" for number in range(rng.randint(1, 3000))],
        lambda: ["x" * 40_000],
        lambda: [True, None, 1.5, {}, "x"],
    ]
    return json.dumps({**good, name: rng.choice(values)()}).encode()
