"""Starlette + asyncpg + orjson: the same optimised statement and the same response, without access checks.

Run with: uvicorn bench.peers.bare:application. Statement and parameters come from wattstream's own builders (a
substitute connection records them), so both servers send PostgreSQL the same query.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, cast

import asyncpg
import django
import orjson
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
django.setup()

from core.catalogue import CATALOGUE  # noqa: E402
from history_app.planning.plan import plan  # noqa: E402
from history_app.planning.window import Window  # noqa: E402
from history_app.question import Question, question_parse  # noqa: E402
from history_app.sql import buckets, raw  # noqa: E402
from history_app.store.sources import sources_of  # noqa: E402
from telemetry.times import iso_from_us, us_from_datetime  # noqa: E402


class Noted(Exception):
    """The recorded call of a builder."""


async def note(connection: Any, device_ids: list[str], text: bytes, parameters: dict[str, Any]) -> Any:
    """Stands in for `fetch_each`."""
    raise Noted(text, {**parameters, "device": device_ids[0]})


buckets.fetch_each = raw.fetch_each = note  # type: ignore[attr-defined,assignment]


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    url = os.environ["TELEMETRY_URL"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        devices = ["bench_a", "bench_b", "bench_c"]
        app.state.sources = dict(
            zip(devices, await sources_of(connection, devices, time.time_ns() // 1000), strict=True)
        )
    async with asyncpg.create_pool(url, min_size=1, max_size=8) as pool:
        app.state.pool = pool
        yield


async def history(request: Request) -> Response:
    device_id = request.path_params["device_id"]
    question = question_parse({"range": request.query_params["range"]}, default_zone="UTC")
    window, text, parameters = await asked(request.app, device_id, question)
    sql, names = positional(text)
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(sql, *(parameters[name] for name in names))
    return Response(orjson.dumps(document(device_id, window, question, row)), media_type="application/json")


async def asked(app: Starlette, device_id: str, question: Question) -> tuple[Window, bytes, dict[str, Any]]:
    chosen = plan(
        [app.state.sources[device_id]], question.metrics, question.start, question.end, question.zone,
        resolution="auto", max_points=720, limit=10_000, sample_period_s=1,
    )  # fmt: skip
    metrics, aggs, connection = question.metrics, question.aggs, cast(Any, None)
    try:
        if chosen.base is None:
            await raw.fetch_raw(
                connection, [device_id], chosen.window, metrics, limit=721, now=question.now, is_live=True
            )
        else:
            await buckets.fetch_tier_buckets(connection, [device_id], chosen, metrics, aggs, now=question.now)
    except Noted as noted:
        return chosen.window, *noted.args
    raise AssertionError("the builder asked nothing")


@lru_cache
def positional(text: bytes) -> tuple[str, list[str]]:
    """Convert the named parameters to asyncpg's positional ones."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, text.decode()).replace("%%", "%"), names


def document(device_id: str, window: Window, question: Any, row: Any) -> dict[str, Any]:
    newest, first, *rest = list(row.values())[0 if window.step.is_raw else 1 :]
    if window.step.is_raw:
        starts, counts, columns = first or [], [1] * len(first or []), rest
    else:
        starts, counts, columns = [us_from_datetime(start) for start in first or []], rest[0], rest[1:]
    return {
        "device_id": device_id,
        "start": iso_from_us(window.low),
        "end": iso_from_us(window.high),
        "resolution": window.step.name,
        "cursor": None if newest is None else iso_from_us(us_from_datetime(newest)),
        "time": [start // 1000 for start in starts],
        "count": counts,
        "metrics": {
            metric.name: {"unit": metric.unit, "avg": column}
            for metric, column in zip(CATALOGUE.metrics, columns, strict=True)
        },
    }


async def livez(request: Request) -> Response:
    return PlainTextResponse("ok")


application = Starlette(routes=[Route("/history/{device_id}", history), Route("/livez", livez)], lifespan=lifespan)
