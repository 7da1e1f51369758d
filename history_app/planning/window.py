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

from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime

HOUR_S = 3600
DAY_S = 86_400
EARLIEST_US = 0
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
        """What an answer says: None where the length varies with the calendar by itself, or there are no buckets."""
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
    """What was asked for, [start, end), and the whole buckets that cover it, [low, high).

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
    lengths = {after - before for before, after in pairwise(found)}
    return found, lengths.pop() if len(lengths) == 1 else None


def _is_arithmetic(step: Step, zone: ZoneInfo) -> bool:
    """Whether plain integer arithmetic from the epoch gives the edges. 1970-01-01 was a Thursday: not for weeks."""
    return not step.is_calendar or (zone.key == "UTC" and step.seconds <= DAY_S)


def _calendar_edges(low: int, high: int, step: Step, zone: ZoneInfo) -> list[int]:
    """Edges in order, from one at or before `low` to one at or after `high`."""
    wall = _previous_wall(_cut(_wall(low, zone), step), step)
    found: set[int] = set()
    while True:
        instants = list(_instants(wall, step, zone))
        found.update(instants)
        if instants[-1] >= high and instants[-1] > low:
            return sorted(found)
        wall = _next_wall(wall, step)


def _wall(us: int, zone: ZoneInfo) -> datetime:
    return datetime_from_us(us).astimezone(zone).replace(tzinfo=None)


def _cut(wall: datetime, step: Step) -> datetime:
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if step.seconds < DAY_S:
        hours = int(step.seconds) // HOUR_S
        return midnight.replace(hour=wall.hour - wall.hour % hours)
    if step.name == "1w":
        return midnight - timedelta(days=midnight.weekday())
    if step is YEAR:
        return midnight.replace(month=1, day=1)
    return midnight.replace(day=1) if step.name == "1mo" else midnight


def _next_wall(wall: datetime, step: Step) -> datetime:
    if step is YEAR:
        return wall.replace(year=wall.year + 1)
    if step.name == "1mo":
        return wall.replace(year=wall.year + wall.month // 12, month=wall.month % 12 + 1)
    return wall + timedelta(seconds=step.seconds)


def _previous_wall(wall: datetime, step: Step) -> datetime:
    return _cut(wall - timedelta(microseconds=1), step)


def _instants(wall: datetime, step: Step, zone: ZoneInfo) -> Iterator[int]:
    """When the wall clock showed `wall`: once; twice for an hour that is repeated; else when it jumped over it.

    Folds as in PEP 495: fold 0 is read with the offset before a transition, fold 1 with the one after.
    """
    first = us_from_datetime(wall.replace(tzinfo=zone))
    second = us_from_datetime(wall.replace(tzinfo=zone, fold=1))
    if first > second:
        yield _transition(second, first, zone)
        return
    yield first
    if second != first and step.seconds == HOUR_S:
        yield second


def _transition(before: int, after: int, zone: ZoneInfo) -> int:
    """The instant in (before, after] at which the offset of `zone` changes, to the second."""
    offset = datetime_from_us(before).astimezone(zone).utcoffset()
    low, high = before // SECOND_US, after // SECOND_US
    while high - low > 1:
        middle = (low + high) // 2
        if datetime_from_us(middle * SECOND_US).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high * SECOND_US
