"""JSON Schema of the frames of the live protocol, declared next to the code that builds or parses them. Pure data.

`manage.py asyncapi` writes docs/asyncapi.json from it, and the tests validate real frames with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from telemetry.names import DEVICE_ID

F = TypeVar("F", bound=Callable[..., Any])
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class FrameShape:
    """A frame: its `type`, its meaning, and its fields. `optional` names the fields that may be missing."""

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


SENT: dict[str, FrameShape] = {}  # server frames, by type
RECEIVED: dict[str, FrameShape] = {}  # client frames, by type


def sends(about: str, *, optional: tuple[str, ...] = (), **fields: Schema) -> Callable[[F], F]:
    """Declare the frame that a function builds. The function is named after the frame's type."""

    def declare(builder: F) -> F:
        SENT[builder.__name__] = FrameShape(builder.__name__, about, _renamed(fields), optional)
        return builder

    return declare


def takes(about: str, *, optional: tuple[str, ...], **fields: Schema) -> Callable[[type], type]:
    """Declare the frame that a class represents. The class is named after the frame's type."""

    def declare(request: type) -> type:
        kind = request.__name__.lower()
        RECEIVED[kind] = FrameShape(kind, about, fields, optional)
        return request

    return declare


def _renamed(fields: Mapping[str, Schema]) -> dict[str, Schema]:
    """Python spells a field named `from` as `from_`."""
    return {name.rstrip("_"): schema for name, schema in fields.items()}


TEXT: Schema = {"type": "string"}
DEVICE: Schema = {"type": "string", "description": "A device id."}
DEVICES: Schema = {"type": "array", "items": {**DEVICE, "pattern": f"^{DEVICE_ID.pattern}$"}, "minItems": 1}
REQUEST_ID: Schema = {
    "type": ["number", "string", "null"],
    "maxLength": 64,
    "description": "Chosen by the client; the response carries it.",
}
TIME: Schema = {"type": "string", "format": "date-time", "description": "UTC. Also a cursor."}
CURSOR: Schema = {"type": ["string", "null"], "description": "As a response or a frame gave it; null for none."}
# Null: the device did not report this metric.
VALUE: Schema = {"type": ["number", "null"]}
METRIC_NAME: Schema = {"$ref": "#/components/schemas/MetricName"}
VALUES: Schema = {"type": "object", "propertyNames": METRIC_NAME, "additionalProperties": VALUE}
METRICS: Schema = {
    "anyOf": [{"type": "array", "items": METRIC_NAME, "minItems": 1}, {"type": "null"}],
    "description": "Default: all.",
}
SINCE: Schema = {
    "anyOf": [CURSOR, {"type": "object", "additionalProperties": CURSOR}],
    "description": "Null: only new readings. A cursor, or one per device: also the readings after it.",
}
