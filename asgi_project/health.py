"""Is the process alive, and is everything it needs there?"""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from asgi_project.errors import Unavailable
from asgi_project.operations import BOOLEAN, NUMBER, Operation, Shape, described, json_answer, nullable, record
from asgi_project.public import public_view
from history_app.pool import telemetry_run
from live_app.hub import hub_of_loop
from telemetry.redis import RedisError, redis_client

_READINESS = Shape(
    "Readiness",
    record(
        {
            "status": {"type": "string", "enum": ["ok", "unavailable"]},
            "telemetry": BOOLEAN,
            "redis": BOOLEAN,
            "writer_heartbeat_age_s": nullable(NUMBER),
        }
    ),
)
LIVEZ = Operation(
    summary="Is the process alive",
    answers={200: json_answer("It is.", record({"status": {"type": "string", "const": "ok"}}))},
)
READYZ = Operation(
    summary="Is everything there that it needs",
    description="The age of the writer's heartbeat is told, and does not decide.",
    answers={
        200: json_answer("TimescaleDB and Redis answer.", _READINESS),
        503: json_answer("One of them does not.", _READINESS, headers=("Retry-After",)),
    },
)


@described(LIVEZ)
@public_view
async def livez(request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "ok"})


@described(READYZ)
@public_view
async def readyz(request: HttpRequest) -> JsonResponse:
    """200 when TimescaleDB and Redis answer, else 503. The writer's heartbeat age is told, and does not decide."""
    heartbeat_at = hub_of_loop().heartbeat_at
    checks = {"telemetry": await _telemetry_answers(), "redis": await _redis_answers()}
    age_s = None if heartbeat_at is None else round(time.monotonic() - heartbeat_at, 1)
    body = {"status": "ok" if all(checks.values()) else "unavailable", **checks, "writer_heartbeat_age_s": age_s}
    headers = {} if all(checks.values()) else {"Retry-After": "2"}
    return JsonResponse(body, status=200 if all(checks.values()) else 503, headers=headers)


async def _telemetry_answers() -> bool:
    try:
        await telemetry_run(lambda connection: connection.execute("SELECT 1"))
    except Unavailable:
        return False
    return True


async def _redis_answers() -> bool:
    try:
        await redis_client(settings.REDIS_URL).ping()
    except RedisError:
        return False
    return True
