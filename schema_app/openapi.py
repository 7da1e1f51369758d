"""Builds the OpenAPI 3.1 document from the declarations of the views and from the serializers that validate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings

from core.catalogue import CATALOGUE
from core.openapi import JSON, PROBLEM, STRING, Operation, ResponseSpec
from core.parameters import Parameter
from core.version import version
from schema_app.components import Components
from schema_app.routes import Route, described_routes
from schema_app.serializers import query_parameters
from telemetry import ingest_api
from telemetry.names import DEVICE_ID, DEVICE_ID_RULE
from telemetry.problems import CONTENT_TYPE

TAGS: Mapping[str, tuple[str, str]] = {
    "history_app": ("history", "Stored readings."),
    "live_app": ("live", "The live stream."),
    "devices_app": ("devices", "Devices and shares."),
    "auth_app": ("accounts", "Accounts, tokens and sessions."),
    "asgi_project": ("operations", "For operators."),
    "schema_app": ("schema", "This document."),
}
ABOUT = """\
History and live telemetry, joined without losing or duplicating a reading.

Times are epoch milliseconds in arrays and ISO 8601 with `Z` elsewhere. Errors are problem documents (RFC 9457) with a
stable `code`; `detail` names the offending parameter and the accepted values. Another user's device and an unknown
device return the same 403. Live sockets are described in `docs/live.md` and, for machines, in `docs/asyncapi.json`."""

# The meaning of a refusal, unless a route declares a more specific one.
REFUSALS: Mapping[int, str] = {
    400: "A parameter or the body is invalid; `detail` names it.",
    401: "The credentials are missing, invalid or expired.",
    403: "No access to the device, or no such device (`forbidden`); the API key lacks the scope (`insufficient_scope`);"
    " API keys are not accepted (`api_key_not_accepted`); the CSRF token is missing (`csrf`).",
    404: "There is no such resource.",
    405: "The path does not support the method; `Allow` lists the supported ones.",
    413: "The body is too large.",
    429: "Too many attempts; `Retry-After` says when to retry.",
    503: "A database or Redis is unreachable or saturated; `Retry-After` says when to retry.",
}
HEADERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ETag": ("Identifies the response; send it as `If-None-Match`.", STRING),
    "Retry-After": ("Seconds.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("The accepted scheme.", {"type": "string", "const": "Bearer"}),
    "Allow": ("Supported methods, comma-separated.", STRING),
    "Content-Disposition": ("`attachment` with a file name.", STRING),
}
_HEADERS_OF_REFUSALS = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token from `POST /api/auth/login`, or an API key with the named scope: `read`, `live` or "
        "`manage`. No API key has `account`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The session of a browser that signed in at `/login`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRFToken",
        "description": f"With the session cookie, for unsafe methods: the value of the cookie "
        f"`{settings.CSRF_COOKIE_NAME}`.",
    },
}
PATH_PARAMETERS: Mapping[str, tuple[Mapping[str, Any], str, Any]] = {
    "device_id": ({"type": "string", "pattern": f"^{DEVICE_ID.pattern}$"}, f"{DEVICE_ID_RULE}.", "ems_001"),
    "username": ({"type": "string", "minLength": 1}, "The name of a user.", "bob"),
    "session_id": ({"type": "integer", "minimum": 1}, "The `id` of a session.", 1),
    "transfer_id": ({"type": "integer", "minimum": 1}, "The `id` of a transfer.", 1),
    "token_id": ({"type": "integer", "minimum": 1}, "The `id` of an API key.", 1),
}


@cache
def published_document() -> dict[str, Any]:
    """The document of the server together with the writer's POST /ingest, of which it is the same declaration."""
    document = openapi_document()
    components = document["components"]
    return {
        **document,
        "tags": [*document["tags"], ingest_api.TAG],
        "paths": {**document["paths"], ingest_api.PATH: {"post": ingest_api.ingest_operation()}},
        "components": {
            **components,
            "schemas": {**components["schemas"], **ingest_api.ingest_schemas(CATALOGUE)},
            "securitySchemes": {**components["securitySchemes"], **ingest_api.SECURITY_SCHEMES},
        },
    }


@cache
def openapi_document() -> dict[str, Any]:
    """The whole document; the same for all users."""
    components = Components()
    paths: dict[str, dict[str, Any]] = {}
    for route in described_routes():
        item = paths.setdefault(route.path, _path_item(route))
        item[route.method] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "wattstream", "version": version(), "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "responses": {
                _refusal_name(status): _refusal(status, about, components) for status, about in REFUSALS.items()
            },
            "headers": {name: {"description": about, "schema": schema} for name, (about, schema) in HEADERS.items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _path_item(route: Route) -> dict[str, Any]:
    parameters = []
    for name in route.placeholders:
        schema, about, example = PATH_PARAMETERS[name]
        parameters.append(
            {"name": name, "in": "path", "required": True, "description": about, "schema": schema, "example": example}
        )
    return {"parameters": parameters} if parameters else {}


def _operation(route: Route, components: Components) -> dict[str, Any]:
    declared = route.operation
    document: dict[str, Any] = {
        "operationId": f"{route.name}_{route.method}".replace("-", "_"),
        "tags": [TAGS[route.app][0]],
        "summary": declared.summary,
    }
    if declared.description:
        document["description"] = declared.description
    parameters = [_parameter(parameter) for parameter in declared.parameters.values()]
    if declared.query is not None:
        parameters += query_parameters(declared.query)
    if parameters:
        document["parameters"] = parameters
    if declared.body is not None:
        document["requestBody"] = _body(declared, components)
    document["responses"] = {
        **{str(status): _response(response, components) for status, response in declared.responses.items()},
        **{
            str(status): _refusal(status, declared.refusals[status], components)
            if status in declared.refusals
            else {"$ref": f"#/components/responses/{_refusal_name(status)}"}
            for status in refusals_of(route)
        },
    }
    document["security"] = _security(route)
    return document


def _body(declared: Operation, components: Components) -> dict[str, Any]:
    """Without a body a route takes an empty object, which is enough where no field is required."""
    schema = components.resolved(declared.body, is_input=True)
    named = components.schemas[schema["$ref"].rpartition("/")[2]]
    return {
        "required": "required" in named,
        "content": {JSON: {"schema": schema, "example": declared.example}},
    }


def refusals_of(route: Route) -> list[int]:
    """Every status of the route except the successful ones."""
    found = {400, 405, *route.operation.refusals}
    if not route.is_public:
        found |= {401, 503}
    if route.needs_csrf or route.scope is not None:
        found.add(403)
    if route.placeholders:
        found.add(404)
    if route.operation.body is not None:
        found.add(413)
    return sorted(found)


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.is_public:
        return []
    session: dict[str, list[str]] = {"session": [], "csrf": []} if route.needs_csrf else {"session": []}
    return [{"bearer": [] if route.scope is None else [str(route.scope)]}, session]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.schema
    if parameter.default is not None:
        schema["default"] = parameter.default
    document = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    }
    if schema.get("type") == "array":
        document |= {"style": "form", "explode": False}
    if parameter.example is not None:
        document["example"] = parameter.example
    return document


def _response(response: ResponseSpec, components: Components) -> dict[str, Any]:
    document: dict[str, Any] = {"description": response.description}
    if response.headers:
        document["headers"] = {name: _header(name) for name in response.headers}
    if response.content:
        document["content"] = {
            media: {"schema": components.resolved(schema, is_input=False)} for media, schema in response.content.items()
        }
    return document


def _refusal(status: int, about: str, components: Components) -> dict[str, Any]:
    name = _HEADERS_OF_REFUSALS.get(status)
    return {
        "description": about,
        **({"headers": {name: _header(name)}} if name else {}),
        "content": {CONTENT_TYPE: {"schema": components.resolved(PROBLEM, is_input=False)}},
    }


def _refusal_name(status: int) -> str:
    return f"Refused{status}"


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}
