"""Parses the parameters of a history request: parameters → `Question`. The clock is the only other input."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from core.catalogue import CATALOGUE
from core.errors import BadRequest
from devices_app.access import Access
from history_app.parameters import AGG, FILL, MAX_POINTS, METRICS, RANGE, RANGE_PATTERN, RESOLUTION
from history_app.planning.window import DAY_S, EARLIEST_US, HOUR_S, LATEST_US
from telemetry.catalogue import Metric
from telemetry.times import (
    MAX_TIME_CHARACTERS,
    SECOND_US,
    TIME_RULE,
    datetime_from_us,
    us_from_datetime,
    us_from_text,
)

_RANGE = re.compile(RANGE_PATTERN)
_RANGE_SECONDS = {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}
_RANGE_RULE = "<n> followed by s, m, h, d, w, mo or y, e.g. 24h"


@dataclass(frozen=True, slots=True)
class Question:
    """A validated history question.

    `start`, `end`, `now`: µs, half-open; `zone`: of the calendar buckets; `metrics` and `aggs` in the order of the
    request; `resolution`: `auto` or a step of the ladder. `since`: for some devices, the time (µs) from which on their
    readings are visible to the user. `is_live`: whether the window reaches the present.
    """

    start: int
    end: int
    now: int
    zone: ZoneInfo
    metrics: tuple[Metric, ...]
    aggs: tuple[str, ...]
    resolution: str
    max_points: int
    fill: str
    since: Mapping[str, int] = field(default_factory=dict)
    is_live: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_live", self.end >= self.now)


def question_parse(parameters: Mapping[str, str], access: Mapping[str, Access]) -> Question:
    """Validate the parameters of contract section 3 (`parameters.QUESTION`); others are ignored.

    `access`: to each device that the question is about. It gives the default zone, UTC if the devices differ, and what
    is visible: the window does not begin before the first visible reading of any device. Raises `BadRequest` naming
    the first invalid parameter and what is accepted.
    """
    now = time.time_ns() // 1000
    zones = {one.timezone for one in access.values()}
    zone = _zone(parameters.get("tz") or (zones.pop() if len(zones) == 1 else "UTC"))
    start, end = _span(parameters, now, zone)
    since = {device_id: one.since for device_id, one in access.items() if one.since is not None}
    if since and len(since) == len(access):
        start = max(start, min(*since.values(), end - 1))
    given = parameters.get
    choices = _choices(given("metrics"), given("agg"), given("resolution"), given("max_points"), given("fill"))
    return Question(start, end, now, zone, *choices, since)


@lru_cache(maxsize=128)  # requests of a dashboard differ in their times only
def _choices(
    metrics: str | None, agg: str | None, resolution: str | None, max_points: str | None, fill: str | None
) -> tuple[tuple[Metric, ...], tuple[str, ...], str, int, str]:
    names = CATALOGUE.names if metrics is None else METRICS.parse(metrics)
    chosen = tuple(CATALOGUE.by_name[name] for name in names)
    return chosen, AGG.parse(agg), RESOLUTION.parse(resolution), MAX_POINTS.parse(max_points), FILL.parse(fill)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadRequest(f"tz: {name[:64]!r} is not an IANA time zone such as Europe/Berlin or UTC.") from None


def _span(parameters: Mapping[str, str], now: int, zone: ZoneInfo) -> tuple[int, int]:
    end = _time("end", parameters["end"], zone) if "end" in parameters else now
    if "start" in parameters:
        if "range" in parameters:
            raise BadRequest("range: give either range (with or without end) or start and end.")
        start = _time("start", parameters["start"], zone)
    else:
        start = range_start(parameters.get("range", RANGE.default), end, zone)
    if start >= end:
        raise BadRequest("start: must be before end.")
    return start, end


def _time(parameter: str, text: str, zone: ZoneInfo) -> int:
    try:
        us = us_from_text(text, zone)
    except ValueError:
        raise BadRequest(f"{parameter}: {text[:MAX_TIME_CHARACTERS]!r} is not {TIME_RULE}.") from None
    if not EARLIEST_US <= us <= LATEST_US:
        raise BadRequest(f"{parameter}: {text!r} is outside 1970 to 2200.")
    return us


def range_start(text: str, end: int, zone: ZoneInfo) -> int:
    """The start (µs) of a range that ends at `end`; months and years follow the calendar of `zone`.

    Raises `BadRequest` if the range is malformed or begins before 1970.
    """
    match = _RANGE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise BadRequest(f"range: {text[:64]!r} is not {_RANGE_RULE}.")
    count, unit = int(match[1]), match[2]
    if unit in _RANGE_SECONDS:
        start = end - count * _RANGE_SECONDS[unit] * SECOND_US
    else:
        start = _months_before(end, count * (12 if unit == "y" else 1), zone)
    if start < EARLIEST_US:
        raise BadRequest(f"range: {text!r} begins before 1970.")
    return start


def _months_before(end: int, months: int, zone: ZoneInfo) -> int:
    local = datetime_from_us(end).astimezone(zone)
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    if year < 1970:
        return EARLIEST_US - 1
    last_day = (datetime(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day  # noqa: DTZ001
    return us_from_datetime(local.replace(year=year, month=month + 1, day=min(local.day, last_day)))
