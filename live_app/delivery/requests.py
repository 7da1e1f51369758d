"""Client frames of the live protocol: parsing. Pure functions.

Every length is checked before a value is looked at, and no error repeats more than a few characters of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import orjson

from live_app import schemas
from live_app.delivery.protocol import ID_MAX_CHARACTERS, INTERVAL_MAX_MS, Cursor, RequestId
from live_app.schemas import takes
from telemetry.catalogue import Catalogue
from telemetry.names import DEVICE_ID_RULE, is_device_id
from telemetry.times import MAX_TIME_CHARACTERS, iso_from_us, us_from_iso

SHOWN_CHARACTERS = 40


class MalformedFrame(ValueError):
    """The text is not a frame of this protocol: the socket is closed with 4400."""


class RequestRefused(ValueError):
    """The request cannot be carried out: an `error` frame answers it, and the socket stays open."""

    def __init__(self, code: str, message: str, request_id: RequestId = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


@takes(
    "Send the readings of these devices. Subscribing again to a device replaces the subscription.",
    optional=("id", "since", "metrics", "interval_ms"),
    id=schemas.REQUEST_ID,
    devices=schemas.DEVICES,
    since=schemas.SINCE,
    metrics=schemas.METRICS,
    interval_ms={
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": INTERVAL_MAX_MS,
        "description": "At most one reading per device in this interval, always the newest.",
    },
)
@dataclass(frozen=True, slots=True)
class Subscribe:
    """`since` has an entry for each device. `metrics`: indexes into the catalogue, None for all."""

    request_id: RequestId
    since: Mapping[str, Cursor]
    metrics: tuple[int, ...] | None
    interval_ms: int

    @property
    def devices(self) -> Sequence[str]:
        return tuple(self.since)


@takes(
    "Stop sending the readings of these devices.",
    optional=("id",),
    id=schemas.REQUEST_ID,
    devices=schemas.DEVICES,
)
@dataclass(frozen=True, slots=True)
class Unsubscribe:
    request_id: RequestId
    devices: Sequence[str]


@takes("Ask for a `pong`.", optional=("id",), id=schemas.REQUEST_ID)
@dataclass(frozen=True, slots=True)
class Ping:
    request_id: RequestId


Request = Subscribe | Unsubscribe | Ping
SHAPES = schemas.RECEIVED


def request_parse(text: str, catalogue: Catalogue) -> Request:
    """Parse a client's frame.

    Raises `MalformedFrame` unless it is a JSON object with a `type`, `RequestRefused` where a field is wrong.
    """
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedFrame("not JSON") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise MalformedFrame("not a JSON object with a type")
    request_id = _request_id(frame.get("id"))
    try:
        if frame["type"] == "subscribe":
            return _subscribe(frame, request_id, catalogue)
        if frame["type"] == "unsubscribe":
            return Unsubscribe(request_id, _devices(frame.get("devices")))
    except ValueError as error:
        raise RequestRefused("bad_request", str(error), request_id) from error
    if frame["type"] == "ping":
        return Ping(request_id)
    raise RequestRefused("bad_request", "type: accepted are subscribe, unsubscribe, ping", request_id)


def cursor_parse(value: object) -> Cursor:
    """Parse a cursor as a response or a frame gave it. Raises ValueError."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= MAX_TIME_CHARACTERS:
        try:
            us = us_from_iso(value)
            iso_from_us(us)  # the offset may move a time out of the years 1 to 9999
            return us
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"since: {_shown(value)} is not a cursor; accepted is null, or the cursor or time of a reading")


def metrics_parse(names: object, catalogue: Catalogue) -> tuple[int, ...] | None:
    """Parse a list of metric names into indexes of the catalogue; None means all. Raises ValueError."""
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(name in catalogue.names for name in names):
        raise ValueError(f"metrics: accepted is a list of {', '.join(catalogue.names)}")
    return tuple(sorted({catalogue.names.index(name) for name in names}))


def _request_id(value: object) -> RequestId:
    """Raises `RequestRefused`, which does not repeat the value."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    if value is None or is_number or (isinstance(value, str) and len(value) <= ID_MAX_CHARACTERS):
        return value  # type: ignore[return-value]
    raise RequestRefused("bad_request", f"id: accepted is a number or at most {ID_MAX_CHARACTERS} characters")


def _subscribe(frame: Mapping[str, Any], request_id: RequestId, catalogue: Catalogue) -> Subscribe:
    devices = _devices(frame.get("devices"))
    since = frame.get("since")
    if isinstance(since, dict):
        cursors = {device_id: cursor_parse(since.get(device_id)) for device_id in devices}
    else:
        cursors = dict.fromkeys(devices, cursor_parse(since))
    return Subscribe(request_id, cursors, metrics_parse(frame.get("metrics"), catalogue), _interval(frame))


def _devices(devices: object) -> tuple[str, ...]:
    if not isinstance(devices, list) or not devices:
        raise ValueError("devices: accepted is a list of at least one device id")
    for device_id in devices:
        if not isinstance(device_id, str) or not is_device_id(device_id):
            raise ValueError(f"devices: {_shown(device_id)} is not a device id; accepted is {DEVICE_ID_RULE}")
    return tuple(dict.fromkeys(devices))


def _interval(frame: Mapping[str, Any]) -> int:
    interval_ms = frame.get("interval_ms")
    if interval_ms is None:
        return 0
    if isinstance(interval_ms, bool) or not isinstance(interval_ms, int) or not 0 <= interval_ms <= INTERVAL_MAX_MS:
        raise ValueError(f"interval_ms: accepted is a whole number from 0 to {INTERVAL_MAX_MS}")
    return interval_ms


def _shown(value: object) -> str:
    """A value as an error names it: short, and never a nested one."""
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…")
    return "this value"
