"""A reading, as a device sends it, as JSON Schema made from the catalogue. Pure data."""

from __future__ import annotations

from typing import Any

from telemetry.catalogue import Catalogue, Metric
from telemetry.names import DEVICE_ID

_TIME = {
    "anyOf": [{"type": "string"}, {"type": "number"}],
    "description": "ISO 8601 (without an offset it is read as UTC) or epoch milliseconds.",
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
    bounds = {"minimum": metric.minimum, "maximum": metric.maximum}
    return {
        "type": ["number", "null"],
        **{name: bound for name, bound in bounds.items() if bound is not None},
        "description": " ".join(filter(None, [metric.description, metric.unit and f"In {metric.unit}.", metric.sign])),
    }
