"""Validation: one decoded JSON object in, one reading out, or the reason why not. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from telemetry.catalogue import Catalogue, Metric
from telemetry.names import DEVICE_ID_RULE, is_device_id
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime, us_from_text

EARLIEST_US = us_from_datetime(datetime(2000, 1, 1, tzinfo=UTC))
TIME_RULE = "ISO 8601 (without an offset it is read as UTC) or epoch milliseconds"
SHOWN_LENGTH = 80


class RefusedError(ValueError):
    """A reading that is not taken. `kind` is one of a few words, for counting; the message says field, value, rule."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Validator:
    """Knows the catalogue and how far ahead of the clock a reading may be."""

    def __init__(self, catalogue: Catalogue, *, max_future_s: int) -> None:
        self._metrics = catalogue.metrics
        self._groups = tuple({metric.packet[0] for metric in catalogue.metrics if len(metric.packet) > 1})
        self._max_future_us = max_future_s * SECOND_US

    def reading(self, item: object, *, now_us: int) -> Reading:
        """The reading of a flat object or of a nested packet; unknown keys do not count. Raises `RefusedError`."""
        if not isinstance(item, dict):
            raise RefusedError("shape", f"a reading is a JSON object and not {_shown(item)}")
        device_id = device_of(item)
        us = self._time(item, now_us)
        nested = self._is_nested(item)
        values = tuple([_value(metric, item, nested=nested) for metric in self._metrics])
        if all(value is None for value in values):
            raise RefusedError("empty", "there is no metric in it; at least one is needed")
        return Reading(device_id, us, values)

    def _time(self, item: Mapping[str, object], now_us: int) -> int:
        name = "time" if "time" in item else "timestamp"
        value = item.get(name)
        us = _microseconds(name, value)
        if us < EARLIEST_US:
            raise RefusedError("time", f"{name}: {_shown(value)} is before {iso_from_us(EARLIEST_US)}")
        # One reading from the far future would be the newest of its device for as long: every later one would be old,
        # and the live stream, which goes forward only, would fall silent.
        if us > now_us + self._max_future_us:
            ahead = f"more than {self._max_future_us // SECOND_US} s ahead of the clock, {iso_from_us(now_us)}"
            raise RefusedError("time", f"{name}: {_shown(value)} is {ahead}")
        return us

    def _is_nested(self, item: Mapping[str, object]) -> bool:
        found = False
        for group in self._groups:
            part = item.get(group)
            if part is None:
                continue
            if not isinstance(part, dict):
                raise RefusedError("shape", f"{group}: {_shown(part)} is not an object of metrics")
            found = True
        return found


def device_of(item: Mapping[str, object]) -> str:
    """The device id of a decoded reading. Raises `RefusedError`."""
    device_id = item.get("device_id")
    if not isinstance(device_id, str) or not is_device_id(device_id):
        raise RefusedError("device", f"device_id: {_shown(device_id)} is not {DEVICE_ID_RULE}")
    return device_id


def _microseconds(name: str, value: object) -> int:
    if isinstance(value, str):
        with suppress(ValueError):
            return us_from_text(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return round(value * 1000)
    raise RefusedError("time", f"{name}: {_shown(value)} is not {TIME_RULE}")


def _value(metric: Metric, item: Mapping[str, object], *, nested: bool) -> float | None:
    value = item.get(metric.name)
    name = metric.name
    if value is None and nested:
        value, name = _walk(metric, item), ".".join(metric.packet)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RefusedError("value", f"{name}: {_shown(value)} is not a finite number or null")
    below = metric.minimum is not None and value < metric.minimum
    above = metric.maximum is not None and value > metric.maximum
    if below or above:
        raise RefusedError("value", f"{name}: {_shown(value)} is not {_bounds(metric)}")
    return float(value)


def _walk(metric: Metric, item: Mapping[str, object]) -> object:
    part: object = item if metric.packet else None
    for step in metric.packet:
        if not isinstance(part, dict):
            return None
        part = part.get(step)
    return part


def _bounds(metric: Metric) -> str:
    if metric.maximum is None:
        return f"at least {metric.minimum}"
    if metric.minimum is None:
        return f"at most {metric.maximum}"
    return f"between {metric.minimum} and {metric.maximum}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "…"
