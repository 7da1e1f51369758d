"""Sockets that count readings and measure their latency.

Raw asyncio protocols: they read frame lengths and one field per reading, so that the generator has little influence on
the result. The publisher (bench/fanout/publisher.py) sets each reading's `time` just before it publishes it.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from bench.fanout import websocket
from telemetry.times import us_from_iso

TIME_FIELD = b'"time":'  # with the colon: the columns of a backlog frame contain "time", too
STAMP_LENGTH = len("2026-11-23T10:00:00.123457Z")
STAMPS_KEPT = 10_000
CONNECTING_AT_ONCE = 50
DEADLINE_S = 120.0
PROGRESS_DEADLINE_S = 2.0
POLL_S = 0.05


@dataclass(frozen=True)
class Dialogue:
    """The messages that make a server deliver, and its answers.

    `opening` is sent after the upgrade. The socket is ready after `answers` frames that contain `answer`.
    """

    path: str
    headers: dict[str, str] = field(default_factory=dict)
    opening: bytes = b""
    answer: bytes = b""
    answers: int = 0


class SocketTally:
    """Latencies of all sockets of a round.

    Several sockets receive the same reading, so each timestamp is parsed once.
    """

    def __init__(self) -> None:
        self.latencies_us: list[int] = []
        self._stamps: dict[bytes, int] = {}

    def count(self, stamp: bytes, now_us: int) -> int:
        """Record the latency of the reading with this timestamp and return its time (µs)."""
        sent_us = self._stamps.get(stamp)
        if sent_us is None:
            if len(self._stamps) > STAMPS_KEPT:
                self._stamps.clear()
            sent_us = self._stamps[stamp] = us_from_iso(stamp.decode())
        self.latencies_us.append(now_us - sent_us)
        return sent_us

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_us)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000 if ordered else float("nan")


class Socket(asyncio.Protocol):
    """A measuring socket. `received` counts readings; `ready` completes when the server delivers."""

    def __init__(self, port: int, dialogue: Dialogue, tally: SocketTally) -> None:
        self.received = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._port = port
        self._dialogue = dialogue
        self._tally = tally
        self._answers = dialogue.answers
        self._rest = b""
        self._is_upgraded = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._transport.write(websocket.upgrade(self._dialogue.path, self._port, self._dialogue.headers))

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at = 0 if self._is_upgraded else self._upgraded(data)
        now_us = time.time_ns() // 1000
        while bounds := websocket.frame_bounds(data, at):
            start, stop = bounds
            found = data.find(TIME_FIELD, start, stop)
            if found < 0:
                self._control(data[at] & 0x0F, data[start:stop])
            else:
                begin = data.index(b'"', found + len(TIME_FIELD)) + 1
                self._count(data[begin : begin + STAMP_LENGTH], now_us)
            at = stop
        self._rest = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"closed before it was ready: {error}"))

    def close(self) -> None:
        self._transport.abort()

    def _count(self, stamp: bytes, now_us: int) -> None:
        self._tally.count(stamp, now_us)
        self.received += 1

    def _upgraded(self, data: bytes) -> int:
        """Return the offset of the first frame; 0 until the upgrade response is complete."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(f"no upgrade: {data[:200]!r}")
        self._is_upgraded = True
        if self._dialogue.opening:
            self._transport.write(self._dialogue.opening)
        self._check_ready()
        return end + 4

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == websocket.PING:
            self._transport.write(websocket.client_frame(websocket.PONG, payload))
        elif self._dialogue.answer in payload:
            self._answers -= 1
            self._check_ready()

    def _check_ready(self) -> None:
        if self._answers <= 0 and not self.ready.done():
            self.ready.set_result(None)


def open_files_raise() -> None:
    """Raise the limit of open files to the hard limit, for this process and its children: each socket needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def sockets_open(port: int, dialogues: Sequence[Dialogue], tally: SocketTally) -> list[Socket]:
    """Open one socket per dialogue and wait until all are ready. Raises OSError if the server refuses one."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def open_one(dialogue: Dialogue) -> Socket:
        async with gate, asyncio.timeout(DEADLINE_S):
            _, socket = await loop.create_connection(lambda: Socket(port, dialogue, tally), "127.0.0.1", port)
            await socket.ready
            return socket

    return list(await asyncio.gather(*map(open_one, dialogues)))


async def readings_arrived(sockets: Sequence[Socket], expected: int) -> int:
    """Wait until the sockets have `expected` readings in total, or none arrives for a while.

    Return the number received.
    """
    seen, moved_at = -1, time.monotonic()
    while (received := sum(socket.received for socket in sockets)) < expected:
        if received != seen:
            seen, moved_at = received, time.monotonic()
        elif time.monotonic() - moved_at > PROGRESS_DEADLINE_S:
            break
        await asyncio.sleep(POLL_S)
    return received
