"""The events of a live stream, as data, and their parsing from frames. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wattstream_client.times import us_from_iso

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a device. `us`: microseconds since the epoch. `time`: the same as ISO 8601, also a cursor."""

    device_id: str
    time: str
    us: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings from `start` to `end` (both included) are not sent: this client was too slow, or they arrived late."""

    device_id: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """Access to this device ended; no more of its readings are sent."""

    device_id: str


@dataclass(frozen=True, slots=True)
class Unrecovered:
    """More was missed than can be replayed: load the readings after `since`, up to `cursor`, from history."""

    device_id: str
    since: str | None
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refuses to send `devices`; the others go on. `code` is the protocol's error code."""

    code: str
    message: str
    devices: tuple[str, ...] = ()


Event = Reading | Gap | Revoked | Unrecovered | Refused


def readings_of(frame: Frame) -> Iterator[Reading]:
    """The readings in a `reading` or `backlog` frame, oldest first."""
    device_id = frame["device_id"]
    if frame["type"] == "reading":
        yield Reading(device_id, frame["time"], us_from_iso(frame["time"]), frame["values"])
        return
    names = frame["columns"][1:]
    for time, *values in frame["rows"]:
        yield Reading(device_id, time, us_from_iso(time), dict(zip(names, values, strict=True)))
