"""Validation of one decoded JSON object: a reading, or the reason why it is refused. Pure.

The smallest invalid unit is refused. An invalid value becomes null, or is clamped if it is within the tolerance of its
metric; the other values of the reading stay. A reading is refused if its device or time is invalid or no value is left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from telemetry.catalogue import Catalogue, Metric
from telemetry.names import DEVICE_ID_RULE, is_device_id
from telemetry.reading import Reading
from telemetry.shown import shown
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime, us_from_text
from writer.report import Report

EARLIEST_US = us_from_datetime(datetime(2000, 1, 1, tzinfo=UTC))
TIME_RULE = "ISO 8601 (without an offset it is read as UTC) or epoch milliseconds"
DEVICE_FIELD = "device_id"
MAX_MS = 1e17  # as many digits as us_from_text accepts; more could overflow
TIME_FIELDS = ("time", "timestamp")
RESERVED = frozenset((DEVICE_FIELD, *TIME_FIELDS))


class RefusedError(ValueError):
    """Refuses a reading. `kind` is the label of a counter; the message names field, value and rule."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Slot(NamedTuple):
    """Where the value of a metric belongs in a reading, and the values that need no adjustment."""

    place: int
    low: float
    high: float
    metric: Metric


Group = dict[str, Any]  # of a nested packet: a Slot or a Group per name


class Validator:
    """Knows the catalogue and how far from the clock the time of a reading may be."""

    def __init__(self, catalogue: Catalogue, *, max_future_s: int, max_past_s: int) -> None:
        self._slots = {
            metric.name: Slot(index, metric.low, metric.high, metric) for index, metric in enumerate(catalogue.metrics)
        }
        self._groups: Group = {}
        for metric in catalogue.metrics:
            if metric.packet:
                _put(self._groups, metric.packet, self._slots[metric.name])
        self._empty: list[float | None] = [None] * len(catalogue.metrics)
        self._max_future_us = max_future_s * SECOND_US
        self._max_past_us = max_past_s * SECOND_US

    def reading(self, item: object, report: Report, index: int, *, device_id: str, now_us: int) -> Reading:
        """Return the reading of a flat object or of a nested packet of `device_id`, the device of the key.

        `report` is told what is adjusted or ignored in the item at `index` of the body. A flat value wins over the
        same metric in a group. Raises `RefusedError`.
        """
        if not isinstance(item, dict):
            raise RefusedError("shape", f"a reading is a JSON object, not {shown(item)}")
        if item.get(DEVICE_FIELD) != device_id:
            raise _other_device(item.get(DEVICE_FIELD))
        us = self._time(item, now_us)
        values = self._empty.copy()
        slots, others = self._slots, []
        for name, value in item.items():
            slot = slots.get(name)
            if slot is None:
                if name not in RESERVED:
                    others.append(name)
            elif value is not None:
                place, low, high, _ = slot
                if (type(value) is float or type(value) is int) and low <= value <= high:
                    values[place] = float(value)
                elif isinstance(value, dict) and name in self._groups:
                    others.append(name)
                else:
                    values[place] = _adjusted(slot, value, report, index)
        if others:
            self._read_groups(item, others, values, report, index)
        if values == self._empty:
            raise RefusedError("empty", "no metric with a valid value is left; at least one is needed")
        return Reading(device_id, us, tuple(values))

    def _time(self, item: Mapping[str, object], now_us: int) -> int:
        name = TIME_FIELDS[0] if TIME_FIELDS[0] in item else TIME_FIELDS[1]
        value = item.get(name)
        us = _microseconds(name, value)
        # The live stream goes forward only: after one reading from the far future it would be silent until then.
        if us > now_us + self._max_future_us:
            ahead = f"more than {self._max_future_us // SECOND_US} s ahead of the clock, {iso_from_us(now_us)}"
            raise RefusedError("time", f"{name}: {shown(value)} is {ahead}")
        if us < now_us - self._max_past_us:
            behind = f"more than {self._max_past_us // SECOND_US} s behind the clock, {iso_from_us(now_us)}"
            raise RefusedError("time", f"{name}: {shown(value)} is {behind}; import older history instead")
        if us < EARLIEST_US:
            raise RefusedError("time", f"{name}: {shown(value)} is before {iso_from_us(EARLIEST_US)}")
        return us

    def _read_groups(
        self, item: Group, names: list[str], values: list[float | None], report: Report, index: int
    ) -> None:
        for name in names:
            if name in self._groups:
                _read_group(self._groups[name], name, item[name], values, report, index)
            else:
                report.ignore(name)


def _put(groups: Group, path: tuple[str, ...], slot: Slot) -> None:
    *parents, name = path
    for parent in parents:
        groups = groups.setdefault(parent, {})
    groups[name] = slot


def _read_group(
    known: Group | Slot, path: str, value: object, values: list[float | None], report: Report, index: int
) -> None:
    """Read a group of a nested packet, or one value of it. The depth is that of the catalogue."""
    if value is None:
        return
    if isinstance(known, Slot):
        if values[known.place] is None:
            values[known.place] = _adjusted(known, value, report, index)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in known:
                _read_group(known[name], f"{path}.{name}", inner, values, report, index)
            else:
                report.ignore(f"{path}.{name}")
    else:
        report.adjust(index, path, f"{shown(value)} is not an object of metrics")


def _adjusted(slot: Slot, value: object, report: Report, index: int) -> float | None:
    """Return `value`, clamped or None if it is out of bounds, which is reported."""
    metric, low, high = slot.metric, slot.low, slot.high
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        report.adjust(index, metric.name, f"{shown(value)} is not a finite number; stored as null")
    elif low <= value <= high:
        return float(value)
    elif low - metric.tolerance <= value <= high + metric.tolerance:
        bound = low if value < low else high
        reason = f"{shown(value)} is beyond {bound:.15g} by at most {metric.tolerance:.15g}; stored as {bound:.15g}"
        report.adjust(index, metric.name, reason)
        return bound
    elif value in (math.inf, -math.inf):
        report.adjust(index, metric.name, f"{shown(value)} is not a finite number; stored as null")
    else:
        report.adjust(index, metric.name, f"{shown(value)} is not between {low:.15g} and {high:.15g}; stored as null")
    return None


def _other_device(value: object) -> RefusedError:
    if isinstance(value, str) and is_device_id(value):
        return RefusedError("other_device", f"device_id: {value!r} is not the device that the key belongs to")
    return RefusedError("device", f"device_id: {shown(value)} is not {DEVICE_ID_RULE}")


def _microseconds(name: str, value: object) -> int:
    if isinstance(value, str):
        with suppress(ValueError):
            return us_from_text(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_MS:
        return round(value * 1000)
    raise RefusedError("time", f"{name}: {shown(value)} is not {TIME_RULE}")
