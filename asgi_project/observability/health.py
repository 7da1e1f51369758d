"""For operators: liveness, readiness and metrics of this process."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable
from contextlib import suppress

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST

from asgi_project.observability.metrics import exposition
from asgi_project.server.drain import drain
from core.catalogue import CATALOGUE
from core.errors import Forbidden, Unauthorized, Unavailable
from core.openapi import (
    BOOLEAN,
    NUMBER,
    STRING,
    Operation,
    ResponseSpec,
    Shape,
    described,
    json_response,
    nullable,
    record,
)
from core.public import public_view
from core.redis import redis_client
from history_app.store.connection import Connection
from history_app.store.pool import telemetry_run
from live_app.metrics import metrics as live
from telemetry.bearer import bearer_token
from telemetry.floor import lag_statement
from telemetry.redis import RedisError

CHECK_TIMEOUT_S = 2.5
_LAG = lag_statement(CATALOGUE)
_FORWARDING_HEADERS = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA")
_READINESS = Shape(
    "Readiness",
    record(
        {
            "status": {"type": "string", "enum": ["ok", "unavailable", "draining"]},
            "telemetry": BOOLEAN,
            "accounts": BOOLEAN,
            "redis": BOOLEAN,
            "draining": BOOLEAN,
            "writer_heartbeat_age_s": nullable(NUMBER),
            "rollup_lag_s": nullable(NUMBER),
        }
    ),
)
LIVEZ = Operation(
    summary="Liveness of the process",
    responses={200: json_response("The process is alive.", record({"status": {"type": "string", "const": "ok"}}))},
)
READYZ = Operation(
    summary="Readiness: the databases and Redis",
    description="Includes the age of the writer's heartbeat and the rollup's lag, which do not affect the status.",
    responses={
        200: json_response("Both databases and Redis respond.", _READINESS),
        503: json_response(
            "One of them does not respond, or the process is about to stop.", _READINESS, headers=("Retry-After",)
        ),
    },
)
METRICS = Operation(
    summary="Metrics of all server processes, for Prometheus",
    description="Requires METRICS_TOKEN as a bearer token. If it is not set, only the server's own machine has access.",
    responses={200: ResponseSpec("The text exposition format.", {"text/plain": STRING})},
)


@described(LIVEZ)
@public_view
async def livez(request: HttpRequest) -> JsonResponse:
    """200 as long as the process responds."""
    return JsonResponse({"status": "ok"})


@described(READYZ)
@public_view
async def readyz(request: HttpRequest) -> JsonResponse:
    """200 if both databases and Redis respond and the process is not about to stop, else 503, which names the reason.

    `{status: "ok" | "unavailable" | "draining", telemetry, accounts, redis, draining, writer_heartbeat_age_s,
    rollup_lag_s}`. The age of the writer's heartbeat (null before the first) and the rollup's lag (null before it first
    caught up) do not affect the status: history is right without either.
    """
    parts = ("telemetry", "accounts", "redis")
    lag_s: list[float | None] = []
    found = await asyncio.gather(*map(_in_time, (_telemetry_answers(lag_s), _accounts_answer(), _redis_answers())))
    checks = dict(zip(parts, found, strict=True))
    heartbeat_at = live.hub.heartbeat_at if live.hub else None
    age_s = None if heartbeat_at is None else round(time.monotonic() - heartbeat_at, 1)
    status = "draining" if drain.is_draining else "ok" if all(found) else "unavailable"
    body = {"status": status, **checks, "draining": drain.is_draining, "writer_heartbeat_age_s": age_s}
    body["rollup_lag_s"] = lag_s[0] if lag_s else None
    answer = JsonResponse(body, status=200 if status == "ok" else 503)
    if status != "ok":
        answer["Retry-After"] = "2"
    answer["Cache-Control"] = "no-store"
    return answer


@described(METRICS)
@public_view
async def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for clients with METRICS_TOKEN; if that is not set, for this machine only."""
    _require_scraper(request)
    return HttpResponse(await exposition(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _require_scraper(request: HttpRequest) -> None:
    """Raises `Unauthorized`, or `Forbidden` if no token is configured."""
    if settings.METRICS_TOKEN:
        token = bearer_token(request.META.get("HTTP_AUTHORIZATION")) or ""
        if not hmac.compare_digest(token.encode(), settings.METRICS_TOKEN.encode()):
            raise Unauthorized("Send Authorization: Bearer <METRICS_TOKEN>.")
    elif not _is_loopback(request):
        raise Forbidden("Metrics are available on the server's own machine only, unless METRICS_TOKEN is set.")


def _is_loopback(request: HttpRequest) -> bool:
    """Whether the request comes from a program on this machine. An untrusted proxy on it looks the same, except for
    the headers that proxies add."""
    if any(name in request.META for name in _FORWARDING_HEADERS):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


async def _in_time(check: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check
    except TimeoutError:
        return False


async def _telemetry_answers(lag_s: list[float | None]) -> bool:
    """Whether the database responds. The lag of the rollup, if there is one, is appended to `lag_s`."""

    async def ask(connection: Connection) -> None:
        await connection.execute("SELECT 1")
        # Without the schema there is no such table; the server is as ready as the database.
        with suppress(psycopg.errors.UndefinedTable):
            row = await (await connection.execute(_LAG)).fetchone()
            lag_s.append(round(row[0], 1) if row else None)

    try:
        await telemetry_run(ask)
    except Unavailable:
        return False
    return True


async def _accounts_answer() -> bool:
    return await asyncio.to_thread(_ask_accounts)


def _ask_accounts() -> bool:
    """Opens and closes a connection: this thread has no other."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    finally:
        connection.close()
    return True


async def _redis_answers() -> bool:
    try:
        await redis_client().ping()
    except RedisError:
        return False
    return True
