"""Serializers as JSON Schema."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from auth_app.rest.fields import PasswordField, TextField, TimeField
from schema_app.components import Components
from schema_app.serializers import query_parameters, serializer_schema


class InnerOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField()


class Everything(serializers.Serializer[Any]):
    name = TextField(max_length=9, validators=[RegexValidator(r"^[a-z]+\Z")])
    secret = PasswordField()
    at = TimeField(required=False, allow_null=True, default=None)
    role = serializers.ChoiceField(choices=["viewer"], default="viewer")
    words = serializers.ListField(child=TextField(allow_blank=True), allow_empty=False, default=lambda: ["a"])
    count = serializers.IntegerField(min_value=1, max_value=5, default=2)
    flag = serializers.BooleanField(required=False)


class PageOutput(serializers.Serializer[Any]):
    items = InnerOutput(many=True)
    first = InnerOutput()
    at = TimeField(allow_null=True)


def test_request_schemas_have_bounds_patterns_and_defaults() -> None:
    schema = serializer_schema(Everything, is_input=True)
    assert schema["required"] == ["name", "secret"]
    fields = schema["properties"]
    assert fields["name"] == {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^[a-z]+$"}
    assert fields["secret"]["format"] == "password"
    assert [part["type"] for part in fields["at"]["anyOf"]] == ["string", "number", "null"]
    assert fields["role"] == {"type": "string", "enum": ["viewer"], "default": "viewer"}
    assert fields["words"] == {"type": "array", "items": {"type": "string"}, "minItems": 1, "default": ["a"]}
    assert fields["count"] == {"type": "integer", "minimum": 1, "maximum": 5, "default": 2}


def test_response_schemas_have_every_field_and_refer_to_nested_ones() -> None:
    components = Components()
    assert components.resolved(PageOutput, is_input=False) == {"$ref": "#/components/schemas/Page"}
    inner = {"$ref": "#/components/schemas/Inner"}
    assert components.schemas["Page"] == {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": inner},
            "first": inner,
            "at": {"type": ["string", "null"], "format": "date-time"},
        },
        "required": ["items", "first", "at"],
    }
    assert components.schemas["Inner"]["properties"] == {"id": {"type": "integer"}}


def test_a_serializer_describes_a_query_string() -> None:
    parameters = {parameter["name"]: parameter for parameter in query_parameters(Everything)}
    assert parameters["name"]["required"] is True
    assert parameters["count"] == {
        "name": "count", "in": "query", "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2},
    }  # fmt: skip
