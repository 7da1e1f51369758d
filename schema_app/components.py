"""The named schemas of a document, collected while it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.serializers import Serializer

from core.openapi import Shape
from schema_app.serializers import serializer_schema


class Components:
    """`schemas` by name, each as plain JSON Schema."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def resolved(self, schema: Any, *, is_input: bool) -> Any:
        """The schema with references in place of shapes and serializer classes. `is_input`: of a request."""
        if isinstance(schema, Shape):
            return self._reference(schema.name, schema.schema, is_input=is_input)
        if isinstance(schema, type) and issubclass(schema, Serializer):
            name = schema.__name__.removesuffix("Output")
            return self._reference(name, serializer_schema(schema, is_input=is_input), is_input=is_input)
        if isinstance(schema, Mapping):
            return {key: self.resolved(value, is_input=is_input) for key, value in schema.items()}
        if isinstance(schema, list | tuple):
            return [self.resolved(value, is_input=is_input) for value in schema]
        return schema

    def _reference(self, name: str, schema: Mapping[str, Any], *, is_input: bool) -> dict[str, str]:
        if name not in self.schemas:
            self.schemas[name] = {}  # reserve its place before the schemas that it refers to
            self.schemas[name] = self.resolved(schema, is_input=is_input)
        return {"$ref": f"#/components/schemas/{name}"}
