"""The live protocol, version 1, as data and pure functions: client requests in, server frames out, close codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from live_app import schemas
from live_app.schemas import sends, takes
from telemetry.catalogue import Catalogue
from telemetry.reading import Reading
from telemetry.times import iso_from_us, us_from_iso

PROTOCOL = 1
SUBPROTOCOL = "wattstream.v1"
TICKET_PREFIX = "ticket."
# In the ASGI scope, set by asgi_project/server/uvicorn.py: the socket's transport, and what to await before a restart.
TRANSPORT_EXTENSION = "wattstream.transport"
DRAIN_EXTENSION = "wattstream.drain"

CLOSE_BYE = 1000
CLOSE_PROTOCOL_ERROR = 1002  # this and the next two come from the server's websocket layer (RFC 6455, 7.4.1)
CLOSE_NOT_UTF8 = 1007
CLOSE_TOO_LONG = 1009
CLOSE_INTERNAL = 1011
CLOSE_RESTARTING = 1012
CLOSE_MALFORMED = 4400
CLOSE_UNAUTHENTICATED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_TOO_SLOW = 4408
CLOSE_TOO_MANY = 4429
# What each means, and whether a client comes back after it (with jittered back-off).
CLOSE_CODES: Mapping[int, tuple[str, bool]] = {
    CLOSE_BYE: ("Bye.", True),
    CLOSE_PROTOCOL_ERROR: ("Not a websocket frame.", False),
    CLOSE_NOT_UTF8: ("The text is not UTF-8.", False),
    CLOSE_TOO_LONG: ("The frame is longer than LIVE_FRAME_MAX_BYTES.", False),
    CLOSE_INTERNAL: ("Something failed here.", True),
    CLOSE_RESTARTING: ("The server restarts; what was queued was sent before.", True),
    CLOSE_MALFORMED: ("Not a frame of this protocol.", False),
    CLOSE_UNAUTHENTICATED: ("Not, or no longer, authenticated.", False),
    CLOSE_FORBIDDEN: ("The one device of the URL is not, or no longer, yours.", False),
    CLOSE_TOO_SLOW: ("Hopelessly slow.", True),
    CLOSE_TOO_MANY: ("Too many sockets.", True),
}

ERROR_CODES = ("forbidden", "bad_request", "too_many")
INTERVAL_MAX_MS = 3_600_000

Cursor = int | None  # µs since the epoch; None where there is none
RequestId = int | str | None


class MalformedFrame(ValueError):
    """Not a frame of this protocol at all: the socket is closed with 4400."""


class RequestRefused(ValueError):
    """A request that cannot be carried out: answered with an `error` frame; the socket lives on."""

    def __init__(self, code: str, message: str, request_id: RequestId = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


@takes(
    "Send what comes of these devices. Subscribing again to a device replaces the subscription.",
    optional=("id", "since", "metrics", "interval_ms"),
    id=schemas.REQUEST_ID,
    devices=schemas.DEVICES,
    since=schemas.SINCE,
    metrics=schemas.METRICS,
    interval_ms={
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": INTERVAL_MAX_MS,
        "description": "At most one reading a device in that time, always the newest.",
    },
)
@dataclass(frozen=True, slots=True)
class Subscribe:
    """`since` has an entry for each device; `metrics` None means all, else indexes into the catalogue."""

    request_id: RequestId
    since: Mapping[str, Cursor]
    metrics: tuple[int, ...] | None
    interval_ms: int

    @property
    def devices(self) -> Sequence[str]:
        return tuple(self.since)


@takes(
    "Send no more of these devices.",
    optional=("id",),
    id=schemas.REQUEST_ID,
    devices=schemas.DEVICES,
)
@dataclass(frozen=True, slots=True)
class Unsubscribe:
    request_id: RequestId
    devices: Sequence[str]


@takes("Is anybody there?", optional=("id",), id=schemas.REQUEST_ID)
@dataclass(frozen=True, slots=True)
class Ping:
    request_id: RequestId


Request = Subscribe | Unsubscribe | Ping


def parse_request(text: str, catalogue: Catalogue) -> Request:
    """Raises `MalformedFrame` where this is no JSON object with a `type`, `RequestRefused` where a field is wrong."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedFrame("not JSON") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise MalformedFrame("not a JSON object with a type")
    request_id = frame.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, (int, str, type(None))):
        raise RequestRefused("bad_request", "id: a number or a string")
    try:
        if frame["type"] == "subscribe":
            return parse_subscribe(frame, request_id, catalogue)
        if frame["type"] == "unsubscribe":
            return Unsubscribe(request_id, _devices(frame))
    except ValueError as error:
        raise RequestRefused("bad_request", str(error), request_id) from error
    if frame["type"] == "ping":
        return Ping(request_id)
    raise RequestRefused("bad_request", "type: accepted are subscribe, unsubscribe, ping", request_id)


def parse_cursor(value: object) -> Cursor:
    """A cursor as an answer or a frame gave it. Raises ValueError."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return us_from_iso(value)
        except ValueError:
            pass
    raise ValueError(f"since: {value!r} is not a cursor: null, or the cursor or time that an answer or frame gave")


def parse_subscribe(frame: Mapping[str, Any], request_id: RequestId, catalogue: Catalogue) -> Subscribe:
    """The fields of a `subscribe` frame. Raises ValueError, naming the field and what is accepted."""
    devices = _devices(frame)
    since = frame.get("since")
    if isinstance(since, dict):
        cursors = {device_id: parse_cursor(since.get(device_id)) for device_id in devices}
    else:
        cursors = dict.fromkeys(devices, parse_cursor(since))
    interval_ms = frame.get("interval_ms", 0)
    if interval_ms is None:
        interval_ms = 0
    if isinstance(interval_ms, bool) or not isinstance(interval_ms, int) or not 0 <= interval_ms <= INTERVAL_MAX_MS:
        raise ValueError(f"interval_ms: a whole number from 0 to {INTERVAL_MAX_MS}")
    return Subscribe(request_id, cursors, _metrics(frame.get("metrics"), catalogue), interval_ms)


def _devices(frame: Mapping[str, Any]) -> tuple[str, ...]:
    devices = frame.get("devices")
    if not isinstance(devices, list) or not devices or not all(isinstance(device, str) for device in devices):
        raise ValueError("devices: a list of at least one device id")
    return tuple(dict.fromkeys(devices))


def _metrics(names: object, catalogue: Catalogue) -> tuple[int, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(name in catalogue.names for name in names):
        raise ValueError(f"metrics: a list of {', '.join(catalogue.names)}")
    return tuple(sorted({catalogue.names.index(name) for name in names}))


class Frame:
    """A text frame, encoded once however many sockets it goes to; `wire` is the websocket frame (RFC 6455, 5.2)."""

    __slots__ = ("payload", "wire")

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.payload = orjson.dumps(content)
        self.wire = _wire_header(len(self.payload)) + self.payload

    @property
    def text(self) -> str:
        return self.payload.decode()


def _wire_header(length: int) -> bytes:
    """FIN and the text opcode, then the length in 7, 7+16 or 7+64 bits; what a server sends is not masked."""
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
    "One for each device subscribed.",
    id=schemas.REQUEST_ID,
    device_id=schemas.DEVICE,
    cursor=schemas.CURSOR,
    recovered={"type": "boolean", "description": "False: more was missed than can be replayed; load history."},
)
def subscribed(request_id: RequestId, device_id: str, cursor: Cursor, *, recovered: bool) -> Frame:
    iso = None if cursor is None else iso_from_us(cursor)
    frame = {"type": "subscribed", "id": request_id, "device_id": device_id, "cursor": iso, "recovered": recovered}
    return Frame(frame)


@sends("This device sends no more.", id=schemas.REQUEST_ID, device_id=schemas.DEVICE)
def unsubscribed(request_id: RequestId, device_id: str) -> Frame:
    return Frame({"type": "unsubscribed", "id": request_id, "device_id": device_id})


@sends("Access ended; this device sends no more.", device_id=schemas.DEVICE)
def revoked(device_id: str) -> Frame:
    return Frame({"type": "revoked", "device_id": device_id})


@sends("The answer to a ping.", id=schemas.REQUEST_ID)
def pong(request_id: RequestId) -> Frame:
    return Frame({"type": "pong", "id": request_id})


@sends(
    "A request that could not be carried out; the socket lives on.",
    id=schemas.REQUEST_ID,
    code={"type": "string", "enum": list(ERROR_CODES)},
    message=schemas.TEXT,
)
def error(request_id: RequestId, code: str, message: str) -> Frame:
    return Frame({"type": "error", "id": request_id, "code": code, "message": message})


@sends(
    "Readings of this span, both ends included, are not sent to this socket; history has them.",
    device_id=schemas.DEVICE,
    from_=schemas.TIME,
    to=schemas.TIME,
)
def gap(device_id: str, first: int, last: int) -> Frame:
    """Readings from `first` to `last` (µs, both included) are not sent to this socket; history has them."""
    return Frame({"type": "gap", "device_id": device_id, "from": iso_from_us(first), "to": iso_from_us(last)})


@sends("A reading, live.", device_id=schemas.DEVICE, time=schemas.TIME, values=schemas.VALUES)
def reading(item: Reading, names: Sequence[str], metrics: tuple[int, ...] | None) -> Frame:
    """A `reading` frame with all metrics, or those whose indexes `metrics` lists."""
    if metrics is None:
        values = dict(zip(names, item.values, strict=True))
    else:
        values = {names[index]: item.values[index] for index in metrics}
    return Frame({"type": "reading", "device_id": item.device_id, "time": iso_from_us(item.us), "values": values})


@sends(
    "What came after `since`, oldest first, before any newer `reading`; several frames where it is long.",
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
