"""Reads and decodes what devices send, bounded in time, bytes, depth and number of readings."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from writer.http.problems import ProblemError
from writer.settings import MAX_LIST_READINGS, WriterSettings

# Of an integer. Longer ones are beyond every float, and Python limits how many it converts.
MAX_DIGITS = 309


async def body_read(request: Request, settings: WriterSettings) -> bytes:
    """Return the whole body. Raises `ProblemError`: 413 as soon as it is too long, 408 if it takes too long."""
    limit = settings.max_body_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > limit:
        raise ProblemError(413, f"The body is longer than {limit} bytes.")
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise ProblemError(413, f"The body is longer than {limit} bytes.")
    except TimeoutError:
        raise ProblemError(408, f"The body did not arrive within {settings.body_timeout_s} s.") from None
    except ClientDisconnect:
        raise ProblemError(400, "The body is incomplete.") from None
    return bytes(body)


def body_items(body: bytes) -> list[Any]:
    """Return the readings of a body, not yet validated. Raises `ProblemError`: 400 if not JSON, 413 if too many."""
    try:
        decoded = json_decode(body)
    except ValueError as error:
        raise ProblemError(400, f"The body is not JSON: {error}.") from None
    items = decoded if isinstance(decoded, list) else [decoded]
    if len(items) > MAX_LIST_READINGS:
        raise ProblemError(
            413, f"{len(items)} readings are too many; accepted are at most {MAX_LIST_READINGS} at once."
        )
    return items


def json_decode(text: bytes | str) -> Any:
    """Decode JSON, also with the NaN and Infinity that Python's json writes and numbers beyond a float's range.

    orjson rejects these, and then the standard library decides: 2.5 times as slow, and only for such bodies. Raises
    ValueError, also for more than about 1,000 levels.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        first = error
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text, parse_int=_integer)
    except (ValueError, RecursionError):
        raise ValueError(str(first)) from None


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.copysign(math.inf, -1 if digits[0] == "-" else 1)
