"""Declares the requests and responses of a route, beside its view. GET /api/schema and GET /api/docs are built from it.

A schema here is a JSON Schema (2020-12) that may contain a `Shape` or a serializer class in place of any subschema.
Both become components of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.parameters import Parameter

F = TypeVar("F", bound=Callable[..., Any])
JSON = "application/json"


@dataclass(frozen=True)
class Shape:
    """A schema with a name."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class ResponseSpec:
    """A successful response: its meaning, its schema by media type, and the names of its documented headers."""

    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one route.

    `parameters`: of a hot view; `query`: the same for a cold one, as a serializer. `body`: a schema; `example`: a valid
    body. `refusals`: the meaning of a status, if it is more specific than on other routes.
    """

    summary: str
    responses: Mapping[int, ResponseSpec]
    description: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    query: Any = None
    body: Any = None
    example: Any = None
    refusals: Mapping[int, str] = field(default_factory=dict)


def described(operation: Operation) -> Callable[[F], F]:
    """Attach a declaration to a view, or to a method of a class-based view."""

    def decorate(function: F) -> F:
        function.operation = operation  # type: ignore[attr-defined]
        return function

    return decorate


def operation_of(function: object) -> Operation | None:
    operation = getattr(function, "operation", None)
    return operation if isinstance(operation, Operation) else None


def json_response(description: str, schema: Any, *, headers: tuple[str, ...] = ()) -> ResponseSpec:
    return ResponseSpec(description, {JSON: schema}, headers)


NO_CONTENT = ResponseSpec("Done; there is no body.")
IF_NONE_MATCH = Parameter(
    name="If-None-Match", description="The `ETag` of an earlier response: 304 if nothing changed.", place="header"
)


def record(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An object in which all of these properties are required."""
    return {"type": "object", "properties": dict(properties), "required": list(properties), **more}


def listed(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def nullable(schema: Any) -> dict[str, Any]:
    """The schema, or null."""
    if isinstance(schema, Mapping) and isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    choices = schema["anyOf"] if isinstance(schema, Mapping) and "anyOf" in schema else [schema]
    return {"anyOf": [*choices, {"type": "null"}]}


NUMBER: Mapping[str, Any] = {"type": "number"}
INTEGER: Mapping[str, Any] = {"type": "integer"}
BOOLEAN: Mapping[str, Any] = {"type": "boolean"}
STRING: Mapping[str, Any] = {"type": "string"}
TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
EPOCH_MS: Mapping[str, Any] = {"type": "integer", "description": "Milliseconds since 1970-01-01T00:00:00Z."}
PROBLEM = Shape(
    "Problem",
    record(
        {
            "status": INTEGER,
            "title": STRING,
            "detail": {"type": "string", "description": "Names the offending parameter and what is accepted."},
            "code": {"type": "string", "description": "Stable; for programs."},
        },
        description="An error (RFC 9457).",
    ),
)
