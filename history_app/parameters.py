"""The parameters of the history routes, for the parsers and for GET /api/schema."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from core.catalogue import CATALOGUE
from core.parameters import Choice, Choices, Parameter, Pattern, PatternList, WholeNumber, by_name
from history_app.planning.window import EARLIEST_US, LATEST_US, STEPS, YEAR, Step
from history_app.rows import ROW_FORMATS
from telemetry.names import DEVICE_ID

PERIODS: dict[str, Step] = {
    "15m": STEPS["15m"],
    "hour": STEPS["1h"],
    "day": STEPS["1d"],
    "week": STEPS["1w"],
    "month": STEPS["1mo"],
    "year": YEAR,
}
AGGREGATES = ("avg", "min", "max", "count")
DEFAULT_RANGE = "24h"
RANGE_PATTERN = r"([0-9]{1,6})(mo|s|m|h|d|w|y)"
_LOCAL_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?)?$"
_TIME = "ISO 8601 or epoch milliseconds; without an offset it is read in `tz`."


@dataclass(frozen=True, kw_only=True)
class Time(Parameter):
    """A time as `telemetry.times.us_from_text` reads it, which also accepts the rarer forms of ISO 8601."""

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "pattern": _LOCAL_TIME},
                {"type": "integer", "minimum": EARLIEST_US // 1000, "maximum": LATEST_US // 1000},
            ]
        }


RANGE = Pattern(
    name="range",
    description="The length of the window, which ends at `end`: `<n>` followed by s, m, h, d, w, mo or y.",
    pattern=RANGE_PATTERN,
    default=DEFAULT_RANGE,
    example="24h",
)
START = Time(name="start", description=f"Where the window begins, instead of `range`. {_TIME}")
END = Time(name="end", description=f"Where the window ends (not included); now, by default. {_TIME}")
TZ = Parameter(
    name="tz",
    description="IANA name of the zone whose wall clock buckets of an hour and longer follow. "
    "By default the zone of the device.",
    example="Europe/Berlin",
)
METRICS = Choices(
    name="metrics",
    description="Metrics of the catalogue (`GET /api/metrics`), in the order of the response; all by default.",
    accepted=CATALOGUE.names,
    example=list(CATALOGUE.names[:2]),
)
AGG = Choices(
    name="agg",
    description="Aggregates of each bucket.",
    accepted=AGGREGATES,
    default=["avg"],
    example=["avg", "max"],
)
RESOLUTION = Choice(
    name="resolution",
    description="`auto` chooses the finest step that needs at most `max_points` buckets.",
    accepted=("auto", *STEPS),
    default="auto",
    example="1h",
)
MAX_POINTS = WholeNumber(
    name="max_points",
    description="The largest number of points that `auto` may choose.",
    minimum=1,
    maximum=settings.HISTORY_MAX_POINTS,
    default=720,
    example=300,
)
FILL = Choice(
    name="fill",
    description="A bucket without readings: null, omitted, or with the previous value.",
    accepted=("null", "none", "previous"),
    default="null",
    example="none",
)
FORMAT = Choice(
    name="format", description="The format of the response.", accepted=("json", "csv"), default="json", example="json"
)
EXPORT_FORMAT = Choice(
    name="format",
    description="`csv`: one line per reading, a missing value is empty; `ndjson`: one flat JSON object per line.",
    accepted=tuple(ROW_FORMATS),
    default="csv",
    example="ndjson",
)
PERIOD = Choice(
    name="period", description="What energy is summed over; weeks begin on Monday.", accepted=tuple(PERIODS),
    default="day", example="day",
)  # fmt: skip
DEVICES = PatternList(
    name="devices",
    description="Device ids; all that you may see, by default.",
    pattern=DEVICE_ID.pattern,
    most=settings.LATEST_MAX_DEVICES,
)
ENERGY_DEVICES = replace(DEVICES, most=settings.HISTORY_MAX_DEVICES)

# The parameters of `question.question_parse`.
WINDOW = by_name(RANGE, START, END, TZ)
QUESTION = {**WINDOW, **by_name(METRICS, AGG, RESOLUTION, MAX_POINTS, FILL)}

HISTORY = {**QUESTION, **by_name(FORMAT)}
EXPORT = {**WINDOW, **by_name(METRICS, EXPORT_FORMAT)}
ENERGY = {**by_name(PERIOD), **WINDOW}
ENERGIES = {**by_name(ENERGY_DEVICES), **ENERGY}
LATEST = by_name(DEVICES)
