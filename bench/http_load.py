"""A closed-loop HTTP load: a few keep-alive connections that ask again as soon as they are answered.

Written on asyncio streams rather than on an HTTP client, so that the generator is no part of the result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

READ_TIMEOUT_S = 60.0


@dataclass
class Result:
    """`latencies_s` of the answers, `seconds` the round took, `bytes` of one answer's body."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def load(port: int, paths: Sequence[str], headers: Mapping[str, str], *, seconds: float) -> Result:
    """Ask each of `paths` on a connection of its own for `seconds`. Raises RuntimeError on any answer but 200."""
    result = Result()
    begun = time.perf_counter()
    asking = (_ask(port, _request(port, path, headers), begun + seconds, result) for path in paths)
    await asyncio.gather(*asking)
    result.seconds = time.perf_counter() - begun
    return result


def _request(port: int, path: str, headers: Mapping[str, str]) -> bytes:
    told = (f"{name}: {value}" for name, value in headers.items())
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *told, "", ""]).encode()


async def _ask(port: int, request: bytes, until: float, result: Result) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * 1024 * 1024)
    try:
        while (begun := time.perf_counter()) < until:
            writer.write(request)
            async with asyncio.timeout(READ_TIMEOUT_S):
                result.bytes = await _answer(reader)
            result.latencies_s.append(time.perf_counter() - begun)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head[9:12]
    lowered = head.lower()
    start = lowered.index(b"content-length:") + 15
    length = int(lowered[start : lowered.index(b"\r", start)])
    body = await reader.readexactly(length)
    if status != b"200":
        raise RuntimeError(f"answer {status.decode()}: {body[:200]!r}")
    return length
