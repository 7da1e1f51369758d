"""Responses that are too long to hold in memory: how a hot view returns, sends and aborts them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase

from core.errors import Problem

Send = Callable[[dict[str, Any]], Awaitable[None]]
logger = logging.getLogger(__name__)


class StreamedResponse(HttpResponseBase):
    """The chunks of an async generator. The generator owns its data source and is always closed after sending.

    The response starts with the first chunk, so a `Problem` raised before that becomes an ordinary error response.
    """

    streaming = True

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        self.chunks = chunks
        self.first = b""

    async def begin(self) -> None:
        """Make the first chunk. Raises what the generator raises."""
        self.first = await anext(self.chunks, b"")


async def stream_send(response: StreamedResponse, send: Send, *, headers: list[tuple[bytes, bytes]]) -> None:
    """Send the response. Wait at most EXPORT_STALL_TIMEOUT_S for the client to accept a chunk.

    After a failure it returns without the end of the body. That makes uvicorn close the connection (and
    asgi_project/server/daphne.py under daphne), which breaks the chunked encoding (RFC 9112, section 8): the client
    sees an error and cannot take the body for complete.
    """
    async with aclosing(response.chunks) as chunks:
        try:
            await _bounded(send, {"type": "http.response.start", "status": response.status_code, "headers": headers})
            await _bounded(send, {"type": "http.response.body", "body": response.first, "more_body": True})
            async for chunk in chunks:
                await _bounded(send, {"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            logger.info("a client took nothing for %s s, its stream was ended", settings.EXPORT_STALL_TIMEOUT_S)
        except Problem as problem:
            logger.warning("a stream broke off: %s", problem.detail)
        except Exception:  # the last resort, as for other responses
            logger.exception("a stream broke off")
        else:
            await _bounded(send, {"type": "http.response.body", "body": b""})


async def _bounded(send: Send, message: dict[str, Any]) -> None:
    async with asyncio.timeout(settings.EXPORT_STALL_TIMEOUT_S):
        await send(message)
