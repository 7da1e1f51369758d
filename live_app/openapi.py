"""What the live stream over HTTP takes and answers."""

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
    description="A cursor: also what came after it. It is the `cursor` of a history answer, or the time of a reading.",
)
INTERVAL = WholeNumber(
    name="interval_ms",
    description="At most one reading a device in that time, always the newest.",
    minimum=0,
    maximum=INTERVAL_MAX_MS,
    default=0,
)
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    description="The id of the last event that came, instead of `since`: browsers send it when they come back.",
    place="header",
)
PARAMETERS = by_name(DEVICES, SINCE, METRICS, INTERVAL)

_EVENT = Shape(
    "Event",
    record(
        {
            "id": {**STRING, "description": "Where the stream is: `Last-Event-ID` of whoever comes back."},
            "data": {**STRING, "contentMediaType": "application/json", "description": "A frame: docs/asyncapi.json."},
        },
        description="One event of the stream.",
    ),
)
EVENT_STREAM = Operation(
    summary="The live stream as Server-Sent Events",
    description="For places where websockets do not pass. The data of each event is a frame of the live protocol "
    "(docs/live.md).",
    parameters={**PARAMETERS, "Last-Event-ID": LAST_EVENT_ID},
    responses={
        200: ResponseSpec("Events, until the client goes away or its access ends.", {"text/event-stream": _EVENT})
    },
    refusals={
        403: "One of the devices is not among yours.",
        413: f"More than {settings.LIVE_DEVICES_PER_SOCKET} devices.",
        429: "Too many live sockets and streams; `Retry-After` says when to come back.",
    },
)
