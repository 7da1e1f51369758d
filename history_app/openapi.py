"""OpenAPI declarations of the history routes."""

from __future__ import annotations

from django.conf import settings

from core.openapi import IF_NONE_MATCH, STRING, Operation, ResponseSpec, json_response, listed
from history_app import parameters, schemas
from history_app.many_devices import QUERY_BODY

_TOO_MANY = (
    f"More points than {settings.HISTORY_MAX_EXPLICIT_POINTS}: take a coarser resolution, a shorter range,"
    " or the export."
)
_NOT_ALL_YOURS = "One of the devices is not among yours."
_UNCHANGED = ResponseSpec("What `If-None-Match` names is still right; there is no body.", headers=("ETag",))

HISTORY = Operation(
    summary="The history of one device, in buckets",
    description="Whole buckets only: the window is widened to them. Averages are sum ÷ count over the raw readings. "
    "Give `range`, with or without `end`, or `start` and `end`.",
    parameters={**parameters.HISTORY, "If-None-Match": IF_NONE_MATCH},
    responses={
        200: ResponseSpec(
            "Columns: a value a bucket, oldest first.",
            {"application/json": schemas.HISTORY, "text/csv": STRING},
            headers=("ETag",),
        ),
        304: _UNCHANGED,
    },
    refusals={413: _TOO_MANY},
)
QUERY = Operation(
    summary="The history of many devices, in the same buckets",
    description="The fields are the parameters of `GET /api/history/{device_id}`; null is the same as leaving one out.",
    body=QUERY_BODY,
    example={
        "devices": ["ems_001"],
        "range": "24h",
        "metrics": list(parameters.METRICS.example),
        "agg": ["avg", "max"],
    },
    responses={200: json_response("What the devices share, and under `devices` the rest of each.", schemas.HISTORIES)},
    refusals={
        403: _NOT_ALL_YOURS,
        413: f"More than {settings.HISTORY_MAX_DEVICES} devices, or more points than the limits allow.",
    },
)
EXPORT = Operation(
    summary="Every raw reading of a device",
    description="Streamed, oldest first, gzipped if `Accept-Encoding` allows it. It is complete if and only if the "
    "transfer ends without an error. One of `start` and `range` is needed.",
    parameters=parameters.EXPORT,
    responses={
        200: ResponseSpec(
            "The readings.",
            {"text/csv": STRING, "application/x-ndjson": schemas.EXPORT_LINE},
            headers=("Content-Disposition",),
        )
    },
)
ENERGY = Operation(
    summary="Energy by quarter of an hour, hour, day, week, month or year",
    description="In kWh, from counters where the device reports them, else from power. Without `start` and `range`: the"
    " one period that `end` falls in.",
    parameters=parameters.ENERGY,
    responses={200: json_response("The periods, oldest first, and their total.", schemas.ENERGY)},
    refusals={413: f"More than {settings.ENERGY_MAX_PERIODS} periods."},
)
ENERGIES = Operation(
    summary="Energy of several devices, and of all of them together",
    description="Of all of them together, `peak_w` is null (the devices may have their peaks at different times), and"
    " coverage is that of the device with the least.",
    parameters=parameters.ENERGIES,
    responses={200: json_response("The periods of each device and of all together, and totals.", schemas.ENERGIES)},
    refusals={
        403: _NOT_ALL_YOURS,
        413: f"More than {settings.HISTORY_MAX_DEVICES} devices, or {settings.ENERGY_MAX_PERIODS} periods of all.",
    },
)
LATEST = Operation(
    summary="The newest reading of each device",
    parameters=parameters.LATEST,
    responses={200: json_response("In the requested order.", listed(schemas.LATEST))},
    refusals={403: _NOT_ALL_YOURS, 413: f"More than {settings.LATEST_MAX_DEVICES} devices."},
)
METRICS = Operation(
    summary="The metrics",
    responses={200: json_response("The catalogue, in the order of every response.", listed(schemas.METRIC))},
)
