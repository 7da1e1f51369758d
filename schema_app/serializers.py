"""REST framework's serializers as JSON Schema (2020-12)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from auth_app.rest.fields import TimeField
from core.openapi import TIME, nullable

AnyField = serializers.Field[Any, Any, Any, Any]


def serializer_schema(serializer: type[serializers.Serializer[Any]], *, is_input: bool) -> dict[str, Any]:
    """The schema of a request (`is_input`), or of a response: then every field is required."""
    fields = serializer().fields
    required = [name for name, field in fields.items() if field.required or not is_input]
    return {
        "type": "object",
        "properties": {name: _field(field, is_input=is_input) for name, field in fields.items()},
        **({"required": required} if required else {}),
    }


def query_parameters(serializer: type[serializers.Serializer[Any]]) -> list[dict[str, Any]]:
    """The fields of a serializer as query parameters."""
    schema = serializer_schema(serializer, is_input=True)
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
        for name, field in schema["properties"].items()
    ]


def _field(field: AnyField, *, is_input: bool) -> Any:
    if isinstance(field, serializers.ListSerializer):
        return {"type": "array", "items": type(field.child)}
    if isinstance(field, serializers.BaseSerializer):
        return type(field)
    schema = next(make(field, is_input) for kind, make in _KINDS.items() if isinstance(field, kind))
    if field.allow_null:
        schema = nullable(schema)
    default = field.default() if callable(field.default) else field.default
    if is_input and not field.required and field.default is not serializers.empty and default is not None:
        schema["default"] = default
    return schema


def _time(field: AnyField, is_input: bool) -> dict[str, Any]:
    if not is_input:
        return dict(TIME)
    text = {"type": "string", "description": "ISO 8601, in UTC if it has no offset."}
    return {"anyOf": [text, {"type": "number", "description": "Epoch milliseconds."}]}


def _text(field: Any, is_input: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if not is_input:
        return schema
    if isinstance(field, serializers.EmailField):
        schema["description"] = "An e-mail address."
    if field.write_only:
        schema["format"] = "password"
    if not field.allow_blank:
        schema["minLength"] = 1
    if field.max_length is not None:
        schema["maxLength"] = field.max_length
    for validator in field.validators:
        if type(validator) is RegexValidator:
            regex: Any = validator.regex  # a compiled pattern, despite the stubs
            # \Z is Python's; in the regular expressions of JSON Schema, $ never matches before a line feed.
            schema["pattern"] = re.sub(r"\\Z$", "$", regex.pattern)
    return schema


def _integer(field: Any, is_input: bool) -> dict[str, Any]:
    bounds = {"minimum": field.min_value, "maximum": field.max_value} if is_input else {}
    return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}


def _list(field: Any, is_input: bool) -> dict[str, Any]:
    some = {"minItems": 1} if is_input and not field.allow_empty else {}
    return {"type": "array", "items": _field(field.child, is_input=is_input), **some}


_KINDS: dict[type[Any], Callable[[Any, bool], dict[str, Any]]] = {
    TimeField: _time,
    serializers.ChoiceField: lambda field, _: {"type": "string", "enum": [str(choice) for choice in field.choices]},
    serializers.BooleanField: lambda *_: {"type": "boolean"},
    serializers.IntegerField: _integer,
    serializers.ListField: _list,
    serializers.CharField: _text,
}
