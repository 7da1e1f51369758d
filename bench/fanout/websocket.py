"""The subset of RFC 6455 that the load generator needs: client frames, the upgrade request, frame lengths."""

from __future__ import annotations

from collections.abc import Mapping

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_NO_MASK = bytes(4)  # a zero mask is a valid mask and leaves the payload unchanged


def upgrade(path: str, port: int, headers: Mapping[str, str]) -> bytes:
    """Return the request of the opening handshake."""
    fixed = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "d2F0dHN0cmVhbS1iZW5jaA==",
        "Sec-WebSocket-Version": "13",
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**fixed, **headers}.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Return a final frame from client to server."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    else:
        head = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    return head + _NO_MASK + payload


def frame_bounds(data: bytes, at: int) -> tuple[int, int] | None:
    """Return start and end of the payload of the unmasked frame at `at`, or None if `data` is too short."""
    have = len(data) - at
    if have < 2:
        return None
    length, start = data[at + 1], at + 2
    if length == 126:
        if have < 4:
            return None
        length, start = data[at + 2] << 8 | data[at + 3], at + 4
    elif length == 127:
        if have < 10:
            return None
        length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    stop = start + length
    return (start, stop) if stop <= len(data) else None
