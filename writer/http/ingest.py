"""POST /ingest: one reading or a list of readings."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from telemetry.bearer import bearer_token
from telemetry.ingest_api import PATH, ingest_operation
from telemetry.keys import key_owner
from telemetry.reading import Reading
from telemetry.times import now_us
from writer.http.body import body_items, body_read
from writer.http.problems import ProblemError
from writer.report import Report
from writer.service import RunningWriter

router = APIRouter()

# The event loop serves other requests after each so many readings.
TURN_READINGS = 500


@router.post(PATH, openapi_extra=ingest_operation(), response_class=Response)
async def ingest(request: Request) -> Response:
    """Validate and queue readings; respond with the document of `Report`.

    Raises `ProblemError`: 401 for an invalid key, before the body is read; 400 if every reading is refused, with the
    members of the report; 503 if the queue is full: then nothing was accepted, and the device sends all of it again.
    """
    service: RunningWriter = request.state.service
    owner = key_owner(service.settings.ingest_secret, bearer_token(request.headers.get("authorization")) or "")
    if owner is None:
        raise ProblemError(401, "Send Authorization: Bearer <device key>.")
    items = body_items(await body_read(request, service.settings))
    report = Report()
    readings = await _validated(items, owner.device_id, service, report)
    accepted = len(readings)
    if not service.take(readings):
        raise ProblemError(503, "The queue of readings is full; nothing was accepted, send all of it again.")
    document = report.document(accepted)
    if report.refused and not accepted:
        raise ProblemError(400, "No reading was valid; `refused` says why.", extra=document)
    return Response(orjson.dumps(document), media_type="application/json")


async def _validated(items: list[Any], device_id: str, service: RunningWriter, report: Report) -> list[Reading]:
    """Return the valid readings in the order of the body; `report` is told about the others."""
    readings: list[Reading] = []
    clock_us = now_us()
    for index, item in enumerate(items):
        if index and index % TURN_READINGS == 0:
            await asyncio.sleep(0)
        if reading := service.validated(item, index, device_id, report, clock_us):
            readings.append(reading)
    service.count(len(items), report)
    return readings
