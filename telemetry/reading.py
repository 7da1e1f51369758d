"""A reading and its JSON form on Redis."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from telemetry.catalogue import Catalogue
from telemetry.names import DEVICE_ID_RULE, is_device_id
from telemetry.shown import shown
from telemetry.times import iso_from_us, us_from_iso

_TIME = re.compile(rb'"time":\s*"([^"\\]*)"')


class ReadingError(ValueError):
    """The input is not a valid reading; the message names the field, its value and what is accepted."""


class Reading(NamedTuple):
    """The values of a device at one time. `us`: microseconds since the epoch; `values`: in catalogue order, or None."""

    device_id: str
    us: int
    values: tuple[float | None, ...]


def reading_merge(earlier: Reading, later: Reading) -> Reading:
    """Two readings of the same device and time as one: a value replaces the earlier one, None never erases one."""
    pairs = zip(earlier.values, later.values, strict=True)
    return Reading(later.device_id, later.us, tuple([old if new is None else new for old, new in pairs]))


def reading_encode(reading: Reading, catalogue: Catalogue) -> bytes:
    """The flat JSON object of contract section 2."""
    flat: dict[str, Any] = {"device_id": reading.device_id, "time": iso_from_us(reading.us)}
    flat.update(zip(catalogue.names, reading.values, strict=True))
    return orjson.dumps(flat)


def reading_decode(payload: bytes | str, catalogue: Catalogue) -> Reading:
    """Parse the flat JSON object. Metrics the catalogue does not know are ignored. Raises `ReadingError`."""
    try:
        flat = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ReadingError(f"not JSON: {error}") from error
    if not isinstance(flat, dict):
        raise ReadingError("a reading is a JSON object")
    return reading_from_flat(flat, catalogue)


def reading_time(payload: bytes, catalogue: Catalogue) -> int:
    """The time (µs) of an encoded reading. A flat one is not decoded further. Raises `ReadingError`."""
    found = _TIME.search(payload) if payload.rfind(b"{") == 0 else None
    if found:
        return _microseconds(found[1].decode(errors="replace"))
    return reading_decode(payload, catalogue).us


def reading_from_flat(flat: dict[str, Any], catalogue: Catalogue) -> Reading:
    """Build a reading from the flat object. Raises `ReadingError`, which names the first invalid field."""
    device_id = flat.get("device_id")
    if not isinstance(device_id, str) or not is_device_id(device_id):
        raise ReadingError(f"device_id: {shown(device_id)} is not {DEVICE_ID_RULE}")
    values = tuple(_number(name, flat.get(name)) for name in catalogue.names)
    return Reading(device_id, _microseconds(flat.get("time")), values)


def _microseconds(value: object) -> int:
    if not isinstance(value, str):
        raise ReadingError(f"time: {shown(value)} is not an ISO 8601 time with an offset")
    try:
        return us_from_iso(value)
    except ValueError:
        raise ReadingError(f"time: {shown(value)} is not an ISO 8601 time with an offset") from None


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ReadingError(f"{name}: {shown(value)} is not a number or null")
    try:
        number = float(value)
    except OverflowError:
        raise ReadingError(f"{name}: {shown(value)} is too large") from None
    if number - number != 0.0:  # infinities and NaN
        raise ReadingError(f"{name}: {shown(value)} is not a finite number")
    return number
