"""Is the process alive, and is everything it needs there?"""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest, JsonResponse

from asgi_project.errors import Unavailable
from history_app.pool import telemetry_run
from live_app.hub import hub_of_loop
from telemetry.redis import RedisError, redis_client


async def livez(request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "ok"})


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
