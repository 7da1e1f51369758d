"""Server frames of the live protocol: one function per frame type, which returns the encoded frame. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from live_app import schemas
from live_app.delivery.protocol import ERROR_CODES, PROTOCOL, Cursor, RequestId
from live_app.schemas import sends
from telemetry.reading import Reading
from telemetry.times import iso_from_us

FORBIDDEN_SHOWN = 3


class Frame:
    """A text frame, encoded once for all sockets. `wire` is the whole websocket frame (RFC 6455, 5.2)."""

    __slots__ = ("payload", "wire")

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.payload = orjson.dumps(content)
        self.wire = _wire_header(len(self.payload)) + self.payload

    @property
    def text(self) -> str:
        return self.payload.decode()


def _wire_header(length: int) -> bytes:
    """FIN and the text opcode, then the length in 7, 7+16 or 7+64 bits. A server does not mask."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


@sends(
    "The first frame.",
    protocol={"type": "integer", "const": PROTOCOL},
    user=schemas.TEXT,
    heartbeat_s={"type": "integer", "description": "How often the server pings."},
)
def welcome(user: str, heartbeat_s: int) -> Frame:
    return Frame({"type": "welcome", "protocol": PROTOCOL, "user": user, "heartbeat_s": heartbeat_s})


@sends(
    "Sent once for each device of a `subscribe`.",
    id=schemas.REQUEST_ID,
    device_id=schemas.DEVICE,
    cursor=schemas.CURSOR,
    recovered={"type": "boolean", "description": "False: more was missed than can be replayed; load history."},
)
def subscribed(request_id: RequestId, device_id: str, cursor: Cursor, *, recovered: bool) -> Frame:
    iso = None if cursor is None else iso_from_us(cursor)
    frame = {"type": "subscribed", "id": request_id, "device_id": device_id, "cursor": iso, "recovered": recovered}
    return Frame(frame)


@sends("No more readings of this device are sent.", id=schemas.REQUEST_ID, device_id=schemas.DEVICE)
def unsubscribed(request_id: RequestId, device_id: str) -> Frame:
    return Frame({"type": "unsubscribed", "id": request_id, "device_id": device_id})


@sends("Access ended; no more readings of this device are sent.", device_id=schemas.DEVICE)
def revoked(device_id: str) -> Frame:
    return Frame({"type": "revoked", "device_id": device_id})


@sends("The answer to a ping.", id=schemas.REQUEST_ID)
def pong(request_id: RequestId) -> Frame:
    return Frame({"type": "pong", "id": request_id})


@sends(
    "The request, or the part of it about `devices`, failed; the socket stays open. At most one per request.",
    id=schemas.REQUEST_ID,
    code={"type": "string", "enum": list(ERROR_CODES)},
    message=schemas.TEXT,
    devices={**schemas.DEVICES, "description": "With `forbidden`: the devices that this user has no access to."},
    optional=("devices",),
)
def error(request_id: RequestId, code: str, message: str, devices: Sequence[str] = ()) -> Frame:
    frame: dict[str, Any] = {"type": "error", "id": request_id, "code": code, "message": message}
    return Frame({**frame, "devices": devices} if devices else frame)


def forbidden(request_id: RequestId, devices: Sequence[str]) -> Frame:
    """An `error` frame for the devices of a request that the user has no access to."""
    named = ", ".join(repr(device_id) for device_id in devices[:FORBIDDEN_SHOWN])
    more = f" and {len(devices) - FORBIDDEN_SHOWN} more" if len(devices) > FORBIDDEN_SHOWN else ""
    return error(request_id, "forbidden", f"devices: you have no access to {named}{more}", devices)


@sends(
    "Readings in this span, both ends included, were not sent to this socket; history has them.",
    device_id=schemas.DEVICE,
    from_=schemas.TIME,
    to=schemas.TIME,
)
def gap(device_id: str, first: int, last: int) -> Frame:
    """A `gap` frame for the readings from `first` to `last` (µs, both included)."""
    return Frame({"type": "gap", "device_id": device_id, "from": iso_from_us(first), "to": iso_from_us(last)})


@sends("A reading, live.", device_id=schemas.DEVICE, time=schemas.TIME, values=schemas.VALUES)
def reading(item: Reading, names: Sequence[str], metrics: tuple[int, ...] | None) -> Frame:
    """A `reading` frame with the metrics at the indexes `metrics`, None for all."""
    if metrics is None:
        values = dict(zip(names, item.values, strict=True))
    else:
        values = {names[index]: item.values[index] for index in metrics}
    return Frame({"type": "reading", "device_id": item.device_id, "time": iso_from_us(item.us), "values": values})


@sends(
    "Readings after `since`, oldest first, before any newer `reading`; several frames if long.",
    device_id=schemas.DEVICE,
    columns={"type": "array", "prefixItems": [{"const": "time"}], "items": schemas.METRIC_NAME},
    rows={"type": "array", "items": {"type": "array", "prefixItems": [schemas.TIME], "items": schemas.VALUE}},
)
def backlog(items: Sequence[Reading], names: Sequence[str], metrics: tuple[int, ...] | None) -> Frame:
    """A `backlog` frame of one device's readings, oldest first."""
    indexes = range(len(names)) if metrics is None else metrics
    columns = ["time", *(names[index] for index in indexes)]
    rows = [[iso_from_us(item.us), *(item.values[index] for index in indexes)] for item in items]
    return Frame({"type": "backlog", "device_id": items[0].device_id, "columns": columns, "rows": rows})


SHAPES = schemas.SENT
