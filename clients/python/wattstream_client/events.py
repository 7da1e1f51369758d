"""What a client is told, as data; and how frames become that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wattstream_client.times import us_from_iso

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device measured. `us`: microseconds since the epoch; `time` is the same as text, and a cursor."""

    device_id: str
    time: str
    us: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Gap:
    """Readings from `start` to `end` (both included) are not sent: this client was too slow, or they came too late."""

    device_id: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """Access ended; nothing more comes of this device."""

    device_id: str


@dataclass(frozen=True, slots=True)
class Unrecovered:
    """More was missed than can be replayed: what lies after `since` and up to `cursor` is to be had from history."""

    device_id: str
    since: str | None
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not send a device; the other ones go on. `code` is the contract's."""

    code: str
    message: str


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
