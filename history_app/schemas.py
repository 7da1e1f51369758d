"""The responses of the history routes as JSON Schema. The tests compare every response with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.catalogue import CATALOGUE
from core.openapi import (
    BOOLEAN,
    EPOCH_MS,
    INTEGER,
    NUMBER,
    STRING,
    TIME,
    Shape,
    listed,
    nullable,
    record,
)
from history_app.energy.figures import PEAKS, QUANTITIES
from history_app.parameters import PERIODS
from history_app.planning.window import STEPS

_VALUE = nullable(NUMBER)
_SOURCE: Mapping[str, Any] = {"type": "string", "enum": ["counter", "power"]}
_SHARE = nullable({"type": "number", "minimum": 0, "maximum": 1})

SERIES = Shape(
    "Series",
    {
        "type": "object",
        "description": "One metric: one value per bucket for each requested aggregate, null if nothing was measured.",
        "properties": {
            "unit": STRING,
            **{agg: listed(_VALUE) for agg in ("avg", "min", "max")},
            "count": listed(nullable(INTEGER), description="Readings in which the metric was not null."),
        },
        "required": ["unit"],
    },
)
# As `document` makes them.
_WINDOW = {
    "start": {**TIME, "description": "Start of the first bucket."},
    "end": {**TIME, "description": "End of the last bucket, not included."},
    "resolution": {"type": "string", "enum": list(STEPS)},
    "resolution_seconds": nullable({**INTEGER, "description": "Null for `raw` and `1mo`."}),
    "tz": STRING,
    "partial_last": {**BOOLEAN, "description": "Whether the last bucket is not over yet."},
}
_COLUMNS = {
    "device_id": STRING,
    "source": {**STRING, "description": "The table that most of the response was read from."},
    "points": INTEGER,
    "cursor": nullable({**STRING, "description": "Stands for the newest stored reading: `since` of the live socket."}),
    "reach_s": {**NUMBER, "description": "A line may join two points that are at most this, or one bucket, apart."},
    "time": listed(EPOCH_MS, description="Start of each bucket, oldest first."),
    "count": listed(INTEGER, description="Readings in each bucket."),
    "metrics": {"type": "object", "properties": dict.fromkeys(CATALOGUE.names, SERIES)},
}
HISTORY = Shape("History", record({**_WINDOW, **_COLUMNS}))
DEVICE_HISTORY = Shape("DeviceHistory", record(_COLUMNS))
HISTORIES = Shape("Histories", record({**_WINDOW, "devices": listed(DEVICE_HISTORY)}))

VALUES = Shape("Values", record(dict.fromkeys(CATALOGUE.names, _VALUE), description="By name of the metric."))
LATEST = Shape(
    "Latest",
    record(
        {
            "device_id": STRING,
            "time": nullable(TIME),
            "age_s": nullable({**NUMBER, "description": "Negative if the device's clock is ahead."}),
            "online": BOOLEAN,
            "values": nullable(VALUES),
        },
        description="The newest reading of a device; nulls if it never reported.",
    ),
)
METRIC = Shape("Metric", record(dict.fromkeys(("name", "unit", "kind", "sign", "description"), STRING)))

ENERGY_PERIOD = Shape(
    "EnergyPeriod",
    record(
        {
            "start": TIME,
            "end": TIME,
            "partial": {**BOOLEAN, "description": "Whether the period is not over yet."},
            "coverage": nullable(
                {
                    **_SHARE,
                    "type": "number",
                    "description": "The smallest of `coverage_by_metric`; 0 where it is empty.",
                }
            ),
            "coverage_by_metric": {
                "type": "object",
                "additionalProperties": {**_SHARE, "type": "number"},
                "description": "Share of the elapsed time that each metric the device reports accounts for.",
            },
            **{f"{name}_kwh": nullable({**NUMBER, "minimum": 0}) for name in QUANTITIES},
            "self_consumption": _SHARE,
            "self_sufficiency": _SHARE,
            **{f"{name}_w": _VALUE for name in PEAKS.values()},
            **{f"{name}_time": nullable(TIME) for name in PEAKS.values()},
            "source": {**_SOURCE, "description": "`counter` if a counter gave at least one of the figures."},
            "sources": record(dict.fromkeys(QUANTITIES, nullable(_SOURCE)), description="What gave each figure."),
        },
    ),
)
_ENERGY_ASKED = {"period": {"type": "string", "enum": list(PERIODS)}, "tz": STRING}
_ENERGY_SUMS = {
    "coverage": nullable({**NUMBER, "description": "Of the total."}),
    "source": {**_SOURCE, "description": "Of the total."},
    "periods": listed(ENERGY_PERIOD),
    "total": ENERGY_PERIOD,
}
ENERGY = Shape("Energy", record({"device_id": STRING, **_ENERGY_ASKED, **_ENERGY_SUMS}))
DEVICE_ENERGY = Shape("DeviceEnergy", record({"device_id": STRING, **_ENERGY_SUMS}))
ENERGIES = Shape("Energies", record({**_ENERGY_ASKED, "devices": listed(DEVICE_ENERGY), **_ENERGY_SUMS}))
EXPORT_LINE = Shape("Reading", record({"device_id": STRING, "time": TIME, **dict.fromkeys(CATALOGUE.names, _VALUE)}))
