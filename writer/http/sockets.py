"""WS /ws/device/{device_id}: one reading per message, one response per reading."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from telemetry.bearer import bearer_token
from telemetry.device_socket import CLOSE_SLOW, CLOSE_UNAUTHORIZED
from telemetry.keys import is_key_of
from telemetry.times import now_us
from writer.http.body import json_decode
from writer.report import Report
from writer.service import RunningWriter

log = logging.getLogger("writer.http.sockets")

router = APIRouter()

CLOSE_TIMEOUT_S = 1.0


@router.websocket("/ws/device/{device_id}")
async def device_socket(socket: WebSocket, device_id: str) -> None:
    """Respond to each reading as POST /ingest does. Closes with 4401 for an invalid key, with 4408 if the device does
    not read the responses.

    Waiting for the next reading needs no timeout: uvicorn pings, and closes the socket if no pong comes.
    """
    service: RunningWriter = socket.state.service
    await socket.accept()
    key = bearer_token(socket.headers.get("authorization"))
    if key is None or not is_key_of(service.settings.ingest_secret, device_id, key):
        await socket.close(CLOSE_UNAUTHORIZED, "send Authorization: Bearer <device key>")
        return
    try:
        while True:
            answer = _take(await _message(socket), device_id, service)
            async with asyncio.timeout(service.settings.send_timeout_ms / 1000):
                await socket.send_text(orjson.dumps(answer).decode())
    except WebSocketDisconnect:
        return
    except TimeoutError:
        service.metrics.slow_sockets += 1
        log.warning("closing the socket of %s: the device does not read the responses", device_id)
        await _close_slow(socket)


async def _message(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    payload: str | bytes = message.get("text") or message.get("bytes") or b""
    return payload


def _take(payload: str | bytes, device_id: str, service: RunningWriter) -> dict[str, Any]:
    report, reading = Report(), None
    try:
        reading = service.validated(json_decode(payload), 0, device_id, report, now_us())
    except ValueError as error:
        service.metrics.refused["shape"] += 1
        report.refuse(0, f"not JSON: {error}")
    service.count(1, report)
    if reading is not None and not service.take([reading]):
        reading = None
        report.refuse(0, "the queue of readings is full; send it again later")
    return report.document(int(reading is not None))


async def _close_slow(socket: WebSocket) -> None:
    """Send the close frame if there is room for it; uvicorn closes the connection when the route ends."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await socket.close(CLOSE_SLOW, "responses are not read")
    except TimeoutError:
        pass
