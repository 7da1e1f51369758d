"""POST /ingest: one reading or a list of them; what is not valid is refused one by one, the rest is taken."""

from __future__ import annotations

import asyncio
from typing import Any, TypeGuard

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from telemetry.keys import is_key_of
from telemetry.names import is_device_id
from telemetry.reading import Reading
from writer.http.problems import ProblemError
from writer.publishing.heartbeat import now_us
from writer.service import Service
from writer.settings import MAX_LIST_READINGS
from writer.validate import RefusedError

router = APIRouter()

# So many readings are validated before others get their turn of the event loop.
TURN_READINGS = 500


@router.post("/ingest")
async def ingest(request: Request) -> Response:
    """Answer `{"accepted": n, "refused": [{"index": i, "reason": "…"}]}`; raises `ProblemError`.

    400 where everything was refused (`refused` is there too), 503 where the queue is full: then nothing was taken,
    and sending all of it again is right.
    """
    service: Service = request.state.service
    key = bearer_key(request.headers.get("authorization"))
    if key is None:
        raise ProblemError(401, "Send Authorization: Bearer <device key>.")
    items = _items(await _body(request, service))
    device_id = _device_of_key(items, key, service)
    readings, refused = await _validated(items, device_id, service)
    if not service.take(readings):
        raise ProblemError(503, "The queue of readings is full; nothing was taken, send all of it again.")
    if refused and not readings:
        raise ProblemError(400, "No reading was valid; `refused` says why.", extra={"accepted": 0, "refused": refused})
    return Response(orjson.dumps({"accepted": len(readings), "refused": refused}), media_type="application/json")


def bearer_key(header: str | None) -> str | None:
    """The key in an Authorization header, None where there is none."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


async def _body(request: Request, service: Service) -> bytes:
    """The whole body, given up as soon as it is too long."""
    limit = service.settings.max_body_bytes
    body = bytearray()
    try:
        async with asyncio.timeout(service.settings.body_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise ProblemError(413, f"The body is longer than {limit} bytes.")
    except TimeoutError:
        raise ProblemError(408, f"The body did not arrive within {service.settings.body_timeout_s} s.") from None
    except ClientDisconnect:
        raise ProblemError(400, "The body is incomplete.") from None
    return bytes(body)


def _items(body: bytes) -> list[Any]:
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(400, f"The body is not JSON: {error}.") from None
    items = decoded if isinstance(decoded, list) else [decoded]
    if len(items) > MAX_LIST_READINGS:
        raise ProblemError(413, f"{len(items)} readings are too many; accepted are up to {MAX_LIST_READINGS} at once.")
    return items


def _device_of_key(items: list[Any], key: str, service: Service) -> str | None:
    """The device of the body that the key belongs to; None where the body names no device at all."""
    named = [item.get("device_id") for item in items if isinstance(item, dict)]
    device_ids = [name for name in dict.fromkeys(filter(_is_text, named)) if is_device_id(name)]
    for device_id in device_ids:
        if is_key_of(service.settings.ingest_secret, device_id, key):
            return device_id
    if device_ids:
        raise ProblemError(401, f"The key does not belong to {device_ids[0]!r} or any other device in the body.")
    return None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


async def _validated(
    items: list[Any], device_id: str | None, service: Service
) -> tuple[list[Reading], list[dict[str, object]]]:
    """The valid readings, and index and reason of the others."""
    readings: list[Reading] = []
    refused: list[dict[str, object]] = []
    clock_us = now_us()
    service.metrics.received += len(items)
    for index, item in enumerate(items):
        if index and index % TURN_READINGS == 0:
            await asyncio.sleep(0)
        try:
            readings.append(validated(item, device_id, service, clock_us))
        except RefusedError as refusal:
            refused.append({"index": index, "reason": str(refusal)})
    return readings, refused


def validated(item: object, device_id: str | None, service: Service, clock_us: int) -> Reading:
    """A valid reading of the device that the key belongs to. Raises `RefusedError` and counts it."""
    try:
        reading = service.validator.reading(item, now_us=clock_us)
        if reading.device_id != device_id:
            raise RefusedError(
                "other_device", f"device_id: {reading.device_id!r} is not the device that the key belongs to"
            )
    except RefusedError as refusal:
        service.metrics.refused[refusal.kind] += 1
        raise
    return reading
