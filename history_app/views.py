"""History routes. Hot: no middleware, no thread hop once access is known."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase

from auth_app.http.hot_view import hot_view, identify_request
from auth_app.identity import Identity
from core.catalogue import CATALOGUE
from core.openapi import described
from core.parameters import require_known
from core.streaming import StreamedResponse
from devices_app.access import access_require, visible_cached
from history_app import openapi
from history_app.answer import histories_read
from history_app.conditional import history_document
from history_app.document import histories_encode, json_encode
from history_app.energy.answer import energies_document, energy_document, energy_read
from history_app.energy.question import energy_parse
from history_app.export import accepts_gzip, export_chunks, export_parse
from history_app.latest import devices_limit, devices_parse, latest_document, latest_read
from history_app.many_devices import query_parse
from history_app.parameters import ENERGIES, ENERGY, ENERGY_DEVICES, FORMAT, HISTORY, LATEST
from history_app.question import question_parse

R = TypeVar("R", bound=HttpResponseBase)


@described(openapi.HISTORY)
@hot_view("GET")
async def history(request: HttpRequest, identity: Identity, device_id: str) -> HttpResponse:
    access = await access_require(identity.user_id, [device_id])
    parameters = _parameters(request)
    require_known(parameters, HISTORY)
    question = question_parse(parameters, access)
    shown = access[device_id]
    key = (device_id, shown.timezone, shown.since, tuple(sorted(parameters.items())))
    if_none_match = request.headers.get("If-None-Match", "")
    found = await history_document(key, device_id, question, FORMAT.parse(parameters.get("format")), if_none_match)
    if isinstance(found, str):
        return _private(HttpResponseNotModified(headers={"ETag": found}))
    return _private(HttpResponse(found.body, content_type=found.content_type, headers={"ETag": found.etag}))


@described(openapi.QUERY)
@hot_view("POST")
async def histories(request: HttpRequest, identity: Identity) -> HttpResponse:
    asked = query_parse(request.body)
    access = await access_require(identity.user_id, asked.device_ids)
    question = question_parse(asked.parameters, access)
    body = histories_encode(await histories_read(asked.device_ids, question))
    return _private(HttpResponse(body, content_type="application/json"))


@described(openapi.EXPORT)
@hot_view("GET")
async def export(request: HttpRequest, identity: Identity, device_id: str) -> HttpResponseBase:
    async def still_allowed() -> None:
        await identify_request(request)
        await access_require(identity.user_id, [device_id])

    access = await access_require(identity.user_id, [device_id])
    asked = export_parse(device_id, _parameters(request), access)
    gzip = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    headers = {
        "Content-Type": asked.row_format.content_type,
        "Content-Disposition": f'attachment; filename="{asked.filename}"',
        "Vary": "Accept-Encoding",
        **({"Content-Encoding": "gzip"} if gzip else {}),
    }
    return _private(StreamedResponse(export_chunks(asked, gzip=gzip, still_allowed=still_allowed), headers=headers))


@described(openapi.ENERGY)
@hot_view("GET")
async def energy(request: HttpRequest, identity: Identity, device_id: str) -> HttpResponse:
    access = await access_require(identity.user_id, [device_id])
    parameters = _parameters(request)
    require_known(parameters, ENERGY)
    question = await energy_parse(parameters, access)
    (figures,) = await energy_read([device_id], question)
    return _json(await energy_document(device_id, question, figures))


@described(openapi.ENERGIES)
@hot_view("GET")
async def energies(request: HttpRequest, identity: Identity) -> HttpResponse:
    parameters = _parameters(request)
    require_known(parameters, ENERGIES)
    device_ids = devices_parse(parameters) or await visible_cached(identity.user_id)
    devices_limit(device_ids, ENERGY_DEVICES.most)
    question = await energy_parse(parameters, await access_require(identity.user_id, device_ids))
    return _json(await energies_document(device_ids, question, await energy_read(device_ids, question)))


@described(openapi.LATEST)
@hot_view("GET")
async def latest(request: HttpRequest, identity: Identity) -> HttpResponse:
    parameters = _parameters(request)
    require_known(parameters, LATEST)
    device_ids = devices_parse(parameters)
    if device_ids is None:
        device_ids = await visible_cached(identity.user_id)
    devices_limit(device_ids)
    access = await access_require(identity.user_id, device_ids)
    now = time.time_ns() // 1000
    return _json(latest_document(device_ids, await latest_read(device_ids, access, now), now))


@described(openapi.METRICS)
@hot_view("GET")
async def metrics(request: HttpRequest, identity: Identity) -> HttpResponse:
    catalogue = [
        {"name": m.name, "unit": m.unit, "kind": m.kind, "sign": m.sign, "description": m.description}
        for m in CATALOGUE.metrics
    ]
    return _json(catalogue)


def _parameters(request: HttpRequest) -> dict[str, str]:
    return {name: str(value) for name, value in request.GET.items()}


def _json(document: Any) -> HttpResponse:
    return _private(HttpResponse(json_encode(document), content_type="application/json"))


def _private(response: R) -> R:
    response["Cache-Control"] = "private, no-cache"
    return response
