"""WS /ws/device/{device_id}: one reading a message, one answer a reading."""

from __future__ import annotations

import asyncio
import logging

import orjson
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from telemetry.device_socket import CLOSE_SLOW, CLOSE_UNAUTHORIZED
from telemetry.keys import is_key_of
from telemetry.names import is_device_id
from writer.http.ingest import bearer_key, validated
from writer.publishing.heartbeat import now_us
from writer.service import Service
from writer.validate import RefusedError

log = logging.getLogger("writer.http.sockets")

router = APIRouter()

CLOSE_TIMEOUT_S = 1.0


@router.websocket("/ws/device/{device_id}")
async def device_socket(socket: WebSocket, device_id: str) -> None:
    """Answer each reading with `{"accepted": 1}` or `{"refused": reason}`. A bad key is closed with 4401, a client that
    does not read its answers with 4408.

    Waiting for the next reading needs no time-out of its own: uvicorn pings, and closes where no pong comes.
    """
    service: Service = socket.state.service
    await socket.accept()
    key = bearer_key(socket.headers.get("authorization"))
    if key is None or not is_device_id(device_id) or not is_key_of(service.settings.ingest_secret, device_id, key):
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
        log.warning("closing the socket of %s: it does not read its answers", device_id)
        await _close_slow(socket)


async def _message(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    payload: str | bytes = message.get("text") or message.get("bytes") or b""
    return payload


def _take(payload: str | bytes, device_id: str, service: Service) -> dict[str, object]:
    service.metrics.received += 1
    try:
        item = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        service.metrics.refused["shape"] += 1
        return {"refused": f"not JSON: {error}"}
    try:
        reading = validated(item, device_id, service, now_us())
    except RefusedError as refusal:
        return {"refused": str(refusal)}
    if not service.take([reading]):
        return {"refused": "the queue of readings is full; send it again later"}
    return {"accepted": 1}


async def _close_slow(socket: WebSocket) -> None:
    """Say why, where there still is room for it; uvicorn closes the connection either way when the route ends."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await socket.close(CLOSE_SLOW, "answers are not read")
    except TimeoutError:
        pass
