"""JSON Schemas of what a device sends, made from the catalogue, and of the response. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.catalogue import Catalogue, Metric
from telemetry.names import DEVICE_ID

_TIME = {
    "anyOf": [{"type": "string"}, {"type": "number"}],
    "description": "ISO 8601 (without an offset it is read as UTC) or epoch milliseconds.",
}


_INDEX = {"type": "integer", "minimum": 0, "description": "Of the reading in the body, from 0."}
_REASON = {"type": "string", "description": "The field, its value and what is accepted."}
REPORT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "accepted": {"type": "integer", "minimum": 0, "description": "The number of readings that are stored."},
        "refused": {
            "type": "array",
            "description": "Readings that are not stored.",
            "items": {
                "type": "object",
                "properties": {"index": _INDEX, "reason": _REASON},
                "required": ["index", "reason"],
            },
        },
        "adjusted": {
            "type": "array",
            "description": "Values that are stored as null, or as the bound that they exceed within the tolerance.",
            "items": {
                "type": "object",
                "properties": {"index": _INDEX, "metric": {"type": "string"}, "reason": _REASON},
                "required": ["index", "metric", "reason"],
            },
        },
        "ignored": {
            "type": "array",
            "description": "Names that are not in the catalogue, each once, at most 100.",
            "items": {"type": "string"},
        },
    },
    "required": ["accepted", "refused", "adjusted", "ignored"],
}


def reading_schema(catalogue: Catalogue) -> dict[str, Any]:
    """A flat reading: at least one metric, the others null or left out."""
    properties = {
        "device_id": {"type": "string", "pattern": f"^{DEVICE_ID.pattern}$"},
        "time": _TIME,
        **{metric.name: _value(metric) for metric in catalogue.metrics},
    }
    return {"type": "object", "properties": properties, "required": ["device_id", "time"]}


def packet_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The nested packet: the same metrics, each where the catalogue's `packet` says."""
    root: dict[str, Any] = {
        "device_id": {"type": "string", "pattern": f"^{DEVICE_ID.pattern}$"},
        "timestamp": _TIME,
    }
    for metric in catalogue.metrics:
        _put(root, metric)
    return {"type": "object", "properties": root, "required": ["device_id", "timestamp"]}


def _put(properties: dict[str, Any], metric: Metric) -> None:
    *groups, name = metric.packet or (metric.name,)
    for group in groups:
        properties = properties.setdefault(group, {"type": "object", "properties": {}})["properties"]
    properties[name] = _value(metric)


def _value(metric: Metric) -> dict[str, Any]:
    return {
        "type": ["number", "null"],
        "minimum": metric.low - metric.tolerance,
        "maximum": metric.high + metric.tolerance,
        "description": " ".join(filter(None, [metric.description, metric.unit and f"In {metric.unit}.", metric.sign])),
    }
