"""GET /livez, /readyz and /metrics, for operators."""

from __future__ import annotations

import asyncio

import psycopg
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from telemetry.redis import RedisError
from writer.http.problems import ProblemError
from writer.metrics import CONTENT_TYPE, exposition
from writer.service import Service

router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def livez() -> Response:
    """The process responds."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """TimescaleDB and Redis respond; otherwise 503, which names those that do not."""
    service: Service = request.state.service
    failing = [name for name in await asyncio.gather(_database(service), _redis(service)) if name]
    if failing:
        raise ProblemError(503, f"Not reachable: {', '.join(failing)}.")
    return PlainTextResponse("ok\n")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Counters and gauges for Prometheus."""
    service: Service = request.state.service
    progress = service.rollup.progress if service.rollup else None
    body = exposition(service.metrics, lambda: (len(service.store), len(service.publisher)), progress)
    return Response(body, headers={"Content-Type": CONTENT_TYPE})


async def _database(service: Service) -> str | None:
    try:
        await service.store.ping()
    except (psycopg.Error, OSError, TimeoutError):
        return "the telemetry database"
    return None


async def _redis(service: Service) -> str | None:
    try:
        await service.redis.ping()
    except (RedisError, OSError, TimeoutError):
        return "Redis"
    return None
