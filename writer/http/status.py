"""GET /livez, /readyz and /metrics, for operators."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress

import psycopg
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from telemetry.bearer import bearer_token
from telemetry.redis import RedisError
from writer.http.problems import ProblemError
from writer.metrics import CONTENT_TYPE, exposition
from writer.service import RunningWriter

FORWARDING_HEADERS = ("x-forwarded-for", "x-real-ip", "forwarded", "via")
router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def livez() -> Response:
    """The process responds."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """TimescaleDB and Redis respond; otherwise 503, which names those that do not."""
    service: RunningWriter = request.state.service
    failing = [name for name in await asyncio.gather(_database(service), _redis(service)) if name]
    if failing:
        raise ProblemError(503, f"Not reachable: {', '.join(failing)}.")
    return PlainTextResponse("ok\n")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Counters and gauges for Prometheus: for METRICS_TOKEN, or without one for programs on this machine."""
    service: RunningWriter = request.state.service
    _require_scraper(request, service.settings.metrics_token)
    progress = service.rollup.progress if service.rollup else None
    body = exposition(service.metrics, lambda: (len(service.store), len(service.publisher)), progress)
    return Response(body, headers={"Content-Type": CONTENT_TYPE})


def _require_scraper(request: Request, token: str) -> None:
    """Raises `ProblemError`."""
    if token:
        presented = bearer_token(request.headers.get("Authorization")) or ""
        if not hmac.compare_digest(presented.encode(), token.encode()):
            raise ProblemError(401, "Send Authorization: Bearer <METRICS_TOKEN>.")
    elif not _is_loopback(request):
        raise ProblemError(403, "Metrics are available on the writer's own machine only, unless METRICS_TOKEN is set.")


def _is_loopback(request: Request) -> bool:
    """Whether a program on this machine asks. A proxy on it looks the same, except for the headers that it adds."""
    if any(name in request.headers for name in FORWARDING_HEADERS) or request.client is None:
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


async def _database(service: RunningWriter) -> str | None:
    try:
        await service.store.ping()
    except (psycopg.Error, OSError, TimeoutError):
        return "the telemetry database"
    return None


async def _redis(service: RunningWriter) -> str | None:
    try:
        await service.redis.ping()
    except (RedisError, OSError, TimeoutError):
        return "Redis"
    return None
