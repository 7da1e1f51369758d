"""Steps and windows: buckets aligned to the clock and to the calendar. Pure; times in µs.

An instant is an int: microseconds since 1970-01-01T00:00:00Z. Windows and buckets are half-open.
Steps below an hour are aligned to the epoch. Steps of an hour and longer follow the wall clock of a zone: a bucket
begins where the wall clock, cut down to the step, changes. So a day is 23, 24 or 25 hours long, and on the day the
clock goes back the hour that comes twice is two buckets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime

HOUR_S = 3600
DAY_S = 86_400
EARLIEST_US = 0
_MONDAY_US = 4 * DAY_S * SECOND_US  # 1970-01-05
_NEVER, _ALWAYS = -(2**62), 2**62
_NO_OFFSET, _MICROSECOND = timedelta(0), timedelta(microseconds=1)
LATEST_US = us_from_datetime(datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Step:
    """A rung of the ladder. `seconds` is its nominal length; a calendar step follows the wall clock."""

    name: str
    seconds: float
    is_raw: bool = False

    @property
    def is_calendar(self) -> bool:
        return self.seconds >= HOUR_S

    @property
    def resolution_seconds(self) -> int | None:
        """`resolution_seconds` of a response: None if the calendar determines it, or if there are no buckets."""
        return None if self.name in ("raw", "1mo") else int(self.seconds)


RAW = Step("raw", 0, is_raw=True)
LADDER = (
    RAW,
    Step("1s", 1),
    Step("5s", 5),
    Step("10s", 10),
    Step("30s", 30),
    Step("1m", 60),
    Step("5m", 300),
    Step("15m", 900),
    Step("30m", 1800),
    Step("1h", HOUR_S),
    Step("3h", 3 * HOUR_S),
    Step("6h", 6 * HOUR_S),
    Step("12h", 12 * HOUR_S),
    Step("1d", DAY_S),
    Step("1w", 7 * DAY_S),
    Step("1mo", 30.436875 * DAY_S),  # a twelfth of the mean Gregorian year
)
YEAR = Step("1y", 365.2425 * DAY_S)  # not a rung: energy is accounted by it
STEPS = {step.name: step for step in LADDER}


@dataclass(frozen=True, slots=True)
class Window:
    """The requested window [start, end), and the whole buckets that cover it, [low, high).

    `edges`: the starts of the buckets and the end of the last one, empty for raw. `length`: the length of every bucket
    in µs, None if they differ (and for raw).
    """

    start: int
    end: int
    step: Step
    zone: ZoneInfo
    low: int = field(init=False)
    high: int = field(init=False)
    edges: Sequence[int] = field(init=False)
    length: int | None = field(init=False)

    def __post_init__(self) -> None:
        low, high = self.start, self.end
        found: tuple[Sequence[int], int | None] = (), None
        if not self.step.is_raw:
            low, high = floor(low, self.step, self.zone), ceil(high, self.step, self.zone)
            found = _edges(low, high, self.step, self.zone)
        for name, value in zip(("low", "high", "edges", "length"), (low, high, *found), strict=True):
            object.__setattr__(self, name, value)


def floor(us: int, step: Step, zone: ZoneInfo) -> int:
    """The start of the bucket that holds `us`."""
    if _is_arithmetic(step, zone):
        return us - us % int(step.seconds * SECOND_US)
    candidates = _calendar_edges(us, us + 1, step, zone)
    return candidates[bisect_right(candidates, us) - 1]


def ceil(us: int, step: Step, zone: ZoneInfo) -> int:
    """The first bucket start at or after `us`."""
    if _is_arithmetic(step, zone):
        return -(-us // int(step.seconds * SECOND_US)) * int(step.seconds * SECOND_US)
    candidates = _calendar_edges(us, us, step, zone)
    return candidates[bisect_left(candidates, us)]


@lru_cache(maxsize=256)
def _edges(low: int, high: int, step: Step, zone: ZoneInfo) -> tuple[Sequence[int], int | None]:
    """Every bucket start in [low, high) and `high`, which both must be edges themselves; the length of every bucket in
    µs, None if they differ."""
    if _is_arithmetic(step, zone):
        length = int(step.seconds * SECOND_US)
        return range(low, high + 1, length), length
    candidates = _calendar_edges(low, high, step, zone)
    found = tuple(candidates[bisect_left(candidates, low) : bisect_right(candidates, high)])
    lengths = np.unique(np.diff(found))
    return found, int(lengths[0]) if len(lengths) == 1 else None


def _is_arithmetic(step: Step, zone: ZoneInfo) -> bool:
    """Whether plain integer arithmetic from the epoch gives the edges. 1970-01-01 was a Thursday: not for weeks."""
    return not step.is_calendar or (zone.key == "UTC" and step.seconds <= DAY_S)


def _calendar_edges(low: int, high: int, step: Step, zone: ZoneInfo) -> list[int]:
    """Edges in order, from one at or before `low` to one at or after `high`.

    While the offset of a zone stays the same, edges are those of the wall clock less the offset. An edge that the wall
    clock jumps over is the instant of the jump. An edge that it shows twice counts once, but twice for steps of an
    hour.
    """
    walls = _wall_edges(low + _offset(low, zone), high + _offset(high, zone), step)
    found: list[NDArray[np.int64]] = []
    shown = _NEVER  # the wall clock's time when the offset changed
    for begin, end, offset in _offsets(low, high, step, zone):
        if np.searchsorted(walls, shown) < np.searchsorted(walls, begin + offset) and shown != _NEVER:
            found.append(np.array([begin]))
        since = begin + offset if step.seconds == HOUR_S else max(begin + offset, shown)
        found.append(walls[np.searchsorted(walls, since) : np.searchsorted(walls, end + offset)] - offset)
        shown = end + offset
    edges: list[int] = np.unique(np.concatenate(found)).tolist()
    return edges


def _wall_edges(low: int, high: int, step: Step) -> NDArray[np.int64]:
    """Edges on the wall clock, in µs of it, from more than one step before `low` to more than one after `high`."""
    if step is YEAR or step.name == "1mo":
        unit = "datetime64[Y]" if step is YEAR else "datetime64[M]"
        ends = np.array([low, high]).astype("datetime64[us]").astype(unit)
        return np.arange(ends[0] - 2, ends[1] + 4).astype("datetime64[us]").astype(np.int64)
    length = int(step.seconds) * SECOND_US
    origin = _MONDAY_US if step.name == "1w" else 0
    return np.arange(low - (low - origin) % length - 2 * length, high + 4 * length, length)


def _offsets(low: int, high: int, step: Step, zone: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """Spans in which the offset of a zone stays the same, with it, from well before `low` to well after `high`."""
    around = 4 * max(int(step.seconds), DAY_S) * SECOND_US
    first, last = (datetime_from_us(us).year for us in (low - around, high + around))
    begin, offset = _NEVER, _offset(low - around, zone)
    for year in range(first, last + 1):
        for at, before, after in _changes(year, zone):
            yield begin, at, before
            begin, offset = at, after
    yield begin, _ALWAYS, offset


@lru_cache(maxsize=4096)
def _changes(year: int, zone: ZoneInfo) -> tuple[tuple[int, int, int], ...]:
    """When the offset of `zone` changes in a year of UTC, and the offsets before and after. At most one a day."""
    start, end = (us_from_datetime(datetime(number, 1, 1, tzinfo=UTC)) for number in (year, year + 1))
    days = range(start, end + 1, DAY_S * SECOND_US)
    offsets = [_offset(day, zone) for day in days]
    return tuple(
        (_transition(day, day + DAY_S * SECOND_US, zone), before, after)
        for day, (before, after) in zip(days, pairwise(offsets), strict=False)
        if before != after
    )


def _offset(us: int, zone: ZoneInfo) -> int:
    """The offset of a zone in µs."""
    offset = datetime_from_us(us).astimezone(zone).utcoffset() or _NO_OFFSET
    return offset // _MICROSECOND


def _transition(before: int, after: int, zone: ZoneInfo) -> int:
    """The instant in (before, after] at which the offset of `zone` changes, to the second."""
    offset = _offset(before, zone)
    low, high = before // SECOND_US, after // SECOND_US
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle * SECOND_US, zone) == offset:
            low = middle
        else:
            high = middle
    return high * SECOND_US
