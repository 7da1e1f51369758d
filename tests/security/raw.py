"""A TCP client that sends any bytes, at any pace."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from testing.process import Process

DEADLINE_S = 60.0


class RawClient:
    """A connection to a server. Every wait ends with `TimeoutError` after DEADLINE_S."""

    def __init__(self, server: Process, *, source: str | None = None) -> None:
        """`source`: the client's address among those of loopback."""
        self._socket = socket.socket()
        self._socket.settimeout(DEADLINE_S)
        if source is not None:
            self._socket.bind((source, 0))
        self._socket.connect(("127.0.0.1", server.port))

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pour(self, chunk: bytes, *, most: int) -> int:
        """Send `chunk` repeatedly until the server resets the connection. Returns the number of bytes sent."""
        sent = 0
        try:
            while sent < most:
                sent += self._socket.send(chunk)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
        return sent

    def response(self) -> bytes:
        """Everything that the server sends until it closes; empty if it resets the connection first."""
        received = b""
        try:
            while data := self._socket.recv(65_536):
                received += data
        except ConnectionResetError:
            pass
        return received

    def until(self, text: bytes) -> bytes:
        """What the server sends up to `text`."""
        received = b""
        while text not in received:
            data = self._socket.recv(65_536)
            assert data, f"closed after {received!r}"
            received += data
        return received

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
