"""Spans of time per device, and how a round of work is divided. Pure.

Times are whole seconds since the epoch. A span is half-open. The spans of a list are ordered by device and start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# One transaction rebuilds about this many seconds of readings, of at most so many devices.
SLICE_SECONDS = 1_000_000
SLICE_DEVICES = 250


class Span(NamedTuple):
    """`[low, high)` of one device."""

    device_id: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What one transaction takes on: due log rows of these devices, all of one shard, that end in one UTC day."""

    day: int
    shard: int
    devices: tuple[str, ...]


def widened(spans: Iterable[Span], seconds: int) -> list[Span]:
    """Spans that consist of whole buckets of `seconds` and cover the given ones; no two of a device touch."""
    result: list[Span] = []
    for device_id, low, high in spans:
        low, high = low // seconds * seconds, -(-high // seconds) * seconds
        if result and result[-1].device_id == device_id and low <= result[-1].high:
            result[-1] = Span(device_id, result[-1].low, max(high, result[-1].high))
        else:
            result.append(Span(device_id, low, high))
    return result


def split_at(spans: Iterable[Span], moment: int) -> tuple[list[Span], list[Span]]:
    """The parts of the spans before a moment, and the parts at or after it."""
    before, after = [], []
    for device_id, low, high in spans:
        if low < moment:
            before.append(Span(device_id, low, min(high, moment)))
        if high > moment:
            after.append(Span(device_id, max(low, moment), high))
    return before, after


def parameters(spans: Sequence[Span]) -> dict[str, object]:
    """The spans as the parameters of the statements that rebuild them: three arrays, and the bounds of them all."""
    lows, highs = [span.low for span in spans], [span.high for span in spans]
    return {
        "devices": [span.device_id for span in spans],
        "lows": lows,
        "highs": highs,
        "low": min(lows),
        "high": max(highs),
    }


def slices_of(day: int, shard: int, devices: Sequence[str], lengths: Sequence[float]) -> Iterator[Slice]:
    """Divide the devices of a day and a shard. `lengths`: the seconds that each device's due log rows span."""
    taken: list[str] = []
    seconds = 0.0
    for device_id, length in zip(devices, lengths, strict=True):
        if taken and (seconds + length > SLICE_SECONDS or len(taken) == SLICE_DEVICES):
            yield Slice(day, shard, tuple(taken))
            taken, seconds = [], 0.0
        taken.append(device_id)
        seconds += length
    if taken:
        yield Slice(day, shard, tuple(taken))
