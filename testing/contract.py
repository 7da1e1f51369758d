"""Check responses against GET /api/schema: every response that a test receives must be documented."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import orjson

from live_app.schemas import RECEIVED, SENT
from schema_app.asyncapi import asyncapi_document
from schema_app.openapi import openapi_document

PROBLEM = "application/problem+json"
SOCKETS = asyncapi_document("test")


def answer_check(response: httpx.Response) -> None:
    """Fail the test unless status, media type, headers and body are as documented. An httpx event hook.

    For a streamed response it checks only status and headers, so that the test can read the stream.
    """
    path = response.request.url.path
    found = _operations_at(path)
    if found is None:
        assert not path.startswith("/api/") or response.status_code == 404, f"{path} is not documented"
        return
    template, operations = found
    method = "get" if response.request.method == "HEAD" else response.request.method.lower()
    what = f"{method} {template} → {response.status_code}"
    if method not in operations:
        # Authentication comes first, so these statuses may precede the 405.
        assert response.status_code in (400, 401, 403, 405), f"{what}: the method is not documented"
        return
    answers = operations[method]["responses"]
    assert str(response.status_code) in answers, f"{what} is not documented"
    answer = _followed(answers[str(response.status_code)])
    for name in answer.get("headers", {}):
        assert name in response.headers, f"{what}: no {name}"
    _body_check(response, answer.get("content", {}), what)


def _body_check(response: httpx.Response, content: Mapping[str, Any], what: str) -> None:
    is_empty = response.request.method == "HEAD" or response.status_code in (204, 304)
    media = response.headers.get("content-type", "").partition(";")[0]
    assert is_empty or media in content, f"{what}: {media} is not documented"
    if media not in ("application/json", PROBLEM) or is_empty or "content-length" not in response.headers:
        return
    response.read()
    errors = [error.message for error in validator(orjson.dumps(content[media]["schema"])).iter_errors(response.json())]
    assert not errors, f"{what}: {errors[:3]}"


def _operations_at(path: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return the path item for a path; of several, the one with the fewest placeholders, as in the URLconf."""
    fitting = [template for template in openapi_document()["paths"] if _pattern(template).fullmatch(path)]
    if not fitting:
        return None
    template = min(fitting, key=lambda fits: fits.count("{"))
    return template, openapi_document()["paths"][template]


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", template))


def _followed(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in answer:
        return answer
    found: Mapping[str, Any] = openapi_document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return found


def frame_check(frame: Mapping[str, Any]) -> None:
    """Fail the test unless a frame of the live socket is as docs/asyncapi.json describes."""
    assert frame["type"] in SENT, f"{frame['type']}: this frame is not documented"
    errors = [error.message for error in frame_validator(frame["type"]).iter_errors(frame)]
    assert not errors, f"{frame['type']}: {errors[:3]}"


@cache
def frame_validator(message: str) -> jsonschema_rs.Validator:
    """Return the validator of a named message of docs/asyncapi.json. Messages to the client allow no other fields."""
    payload = SOCKETS["components"]["messages"][message]["payload"]
    schema = payload if message in RECEIVED else _closed(payload)
    whole = {**schema, "components": {"schemas": SOCKETS["components"]["schemas"]}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


@cache
def validator(schema: bytes) -> jsonschema_rs.Validator:
    """Return the validator of a schema (as JSON) of the document.

    Objects with properties allow no undocumented ones.
    """
    whole = {**orjson.loads(schema), "components": {"schemas": _closed(openapi_document()["components"]["schemas"])}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    return (
        {**closed, "additionalProperties": False}
        if schema.get("type") == "object" and "properties" in schema
        else closed
    )
