"""HTTP load on keep-alive connections over asyncio streams: an HTTP client would add to the measured cost.

Closed loop (`load`): each connection sends its next request after each response; measures the capacity of a server.
Open loop (`load_open`): requests follow a fixed schedule; measures the latency that users see at a given rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

READ_TIMEOUT_S = 60.0
OPEN_CONNECTIONS = 64
LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A response. `may_retry`: it has a Retry-After header."""

    status: int
    body: bytes
    may_retry: bool


class Connection:
    """One keep-alive connection, opened on demand."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return the response.

        Raises OSError, EOFError or TimeoutError without one; the next call reconnects.

        A connection that the server closed while it was idle is replaced, as HTTP clients do (RFC 9112, section 9.3.1).
        """
        is_reused = self._streams is not None
        try:
            return await self._asked(request)
        except (ConnectionError, asyncio.IncompleteReadError):
            if not is_reused:
                raise
            return await self._asked(request)

    async def _asked(self, request: bytes) -> Answer:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=LIMIT_BYTES)
                reader, writer = self._streams
                writer.write(request)
                return await _answer(reader)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Result:
    """Result of a round. `latencies_s` of 200 responses, `seconds` of the round, `bytes` of one response body.

    `refused`: 503 with Retry-After; `failed`: count of other failures by status or error.
    """

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def add(self, answer: Answer, seconds: float) -> None:
        if answer.status == 200:
            self.latencies_s.append(seconds)
            self.bytes = len(answer.body)
        elif answer.status == 503 and answer.may_retry:
            self.refused += 1
        else:
            self.failed[str(answer.status)] += 1


async def load(port: int, paths: Sequence[str], headers: Mapping[str, str], *, seconds: float) -> Result:
    """Request each of `paths` on a separate connection for `seconds`. Raises RuntimeError on any status but 200."""
    result = Result()
    begun = time.perf_counter()
    asking = (_ask(port, get(port, path, headers), begun + seconds, result) for path in paths)
    await asyncio.gather(*asking)
    result.seconds = time.perf_counter() - begun
    return result


async def load_open(
    port: int, paths: Sequence[str], headers: Mapping[str, str], *, per_second: float, seconds: float
) -> Result:
    """Request `paths` in turn, `per_second`, for `seconds`.

    Latency counts from the due time of a request, so it includes the wait for one of `OPEN_CONNECTIONS`.
    """
    result, begun = Result(), time.perf_counter()
    requests = [get(port, path, headers) for path in paths]
    numbers = iter(range(round(per_second * seconds)))

    async def connection() -> None:
        with Connection(port) as open_connection:
            for number in numbers:
                due = begun + number / per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                try:
                    answer = await open_connection.ask(requests[number % len(requests)])
                    result.add(answer, time.perf_counter() - due)
                except (OSError, EOFError, TimeoutError) as error:
                    result.failed[type(error).__name__] += 1

    await asyncio.gather(*(connection() for _ in range(OPEN_CONNECTIONS)))
    result.seconds = max(seconds, time.perf_counter() - begun)
    return result


def get(port: int, path: str, headers: Mapping[str, str]) -> bytes:
    return _head("GET", port, path, headers) + b"\r\n"


def post(port: int, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    return _head("POST", port, path, {**headers, "Content-Length": str(len(body))}) + b"\r\n" + body


def _head(method: str, port: int, path: str, headers: Mapping[str, str]) -> bytes:
    told = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *told, ""]).encode()


async def _ask(port: int, request: bytes, until: float, result: Result) -> None:
    with Connection(port) as connection:
        while (begun := time.perf_counter()) < until:
            answer = await connection.ask(request)
            if answer.status != 200:
                raise RuntimeError(f"answer {answer.status}: {answer.body[:200]!r}")
            result.add(answer, time.perf_counter() - begun)


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    start = head.index(b"content-length:") + 15
    length = int(head[start : head.index(b"\r", start)])
    return Answer(int(head[9:12]), await reader.readexactly(length), b"\r\nretry-after:" in head)
