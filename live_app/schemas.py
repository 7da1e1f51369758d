"""Frames of the live protocol as JSON Schema, declared beside what builds or parses them. Pure data.

`manage.py asyncapi` makes docs/asyncapi.json of it; the tests hold real frames against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class FrameShape:
    """A frame: its `type`, what it means, and its fields. `optional` are those that may be left out."""

    kind: str
    about: str
    fields: Mapping[str, Schema]
    optional: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        properties = {"type": {"const": self.kind}, **self.fields}
        return {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name not in self.optional],
        }


SENT: dict[str, FrameShape] = {}  # by type: what the server sends
RECEIVED: dict[str, FrameShape] = {}  # and what it takes


def sends(about: str, **fields: Schema) -> Callable[[F], F]:
    """Declare the frame that a function, named after its type, builds."""

    def declare(builder: F) -> F:
        SENT[builder.__name__] = FrameShape(builder.__name__, about, _renamed(fields))
        return builder

    return declare


def takes(about: str, *, optional: tuple[str, ...], **fields: Schema) -> Callable[[type], type]:
    """Declare the frame that a class, named after its type, is parsed from."""

    def declare(request: type) -> type:
        kind = request.__name__.lower()
        RECEIVED[kind] = FrameShape(kind, about, fields, optional)
        return request

    return declare


def _renamed(fields: Mapping[str, Schema]) -> dict[str, Schema]:
    """`from_` is how a field called `from` is written in Python."""
    return {name.rstrip("_"): schema for name, schema in fields.items()}


TEXT: Schema = {"type": "string"}
DEVICE: Schema = {"type": "string", "description": "A device id."}
DEVICES: Schema = {"type": "array", "items": DEVICE, "minItems": 1}
REQUEST_ID: Schema = {"type": ["integer", "string", "null"], "description": "The client's own; answers carry it."}
TIME: Schema = {"type": "string", "format": "date-time", "description": "UTC; a cursor too."}
CURSOR: Schema = {"type": ["string", "null"], "description": "As an answer or a frame gave it; null for none."}
# A metric is null where the device did not measure it.
VALUE: Schema = {"type": ["number", "null"]}
METRIC_NAME: Schema = {"$ref": "#/components/schemas/MetricName"}
VALUES: Schema = {"type": "object", "propertyNames": METRIC_NAME, "additionalProperties": VALUE}
METRICS: Schema = {
    "anyOf": [{"type": "array", "items": METRIC_NAME, "minItems": 1}, {"type": "null"}],
    "description": "Leave it out for all.",
}
SINCE: Schema = {
    "anyOf": [CURSOR, {"type": "object", "additionalProperties": CURSOR}],
    "description": "Null: only what is new. A cursor, or one for each device: also what came after it.",
}
