"""The event stream in OpenAPI: its parameters and responses."""

from __future__ import annotations

from django.conf import settings

from core.openapi import STRING, Operation, ResponseSpec, Shape, record
from core.parameters import Parameter, PatternList, WholeNumber, by_name
from history_app.parameters import METRICS
from live_app.delivery.protocol import INTERVAL_MAX_MS
from telemetry.names import DEVICE_ID

DEVICES = PatternList(
    name="devices",
    description="Device ids.",
    pattern=DEVICE_ID.pattern,
    most=settings.LIVE_DEVICES_PER_SOCKET,
    required=True,
    example=["ems_001"],
)
SINCE = Parameter(
    name="since",
    description="A cursor (of a history response, or the time of a reading): also send the readings after it.",
)
INTERVAL = WholeNumber(
    name="interval_ms",
    description="At most one reading per device in this interval, always the newest.",
    minimum=0,
    maximum=INTERVAL_MAX_MS,
    default=0,
)
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    description="The id of the last event received; replaces `since`. Browsers send it when they reconnect.",
    place="header",
)
PARAMETERS = by_name(DEVICES, SINCE, METRICS, INTERVAL)

_EVENT = Shape(
    "Event",
    record(
        {
            "id": {
                **STRING,
                "description": "The position in the stream, for `Last-Event-ID` when you reconnect.",
            },
            "data": {**STRING, "contentMediaType": "application/json", "description": "A frame: docs/asyncapi.json."},
        },
        description="One event of the stream.",
    ),
)
EVENT_STREAM = Operation(
    summary="The live stream as Server-Sent Events",
    description="For networks that block websockets. The data of each event is a frame of the live protocol "
    "(docs/live.md).",
    parameters={**PARAMETERS, "Last-Event-ID": LAST_EVENT_ID},
    responses={
        200: ResponseSpec("Events, until the client disconnects or its access ends.", {"text/event-stream": _EVENT})
    },
    refusals={
        403: "You have no access to one of the devices.",
        413: f"More than {settings.LIVE_DEVICES_PER_SOCKET} devices.",
        429: "Too many live sockets and streams; retry after `Retry-After`.",
    },
)
