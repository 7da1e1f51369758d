"""POST /ingest as OpenAPI 3.1, for the writer's document and for the server's, which lists it too. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.catalogue import Catalogue
from telemetry.problems import CONTENT_TYPE
from telemetry.schemas import REPORT, packet_schema, reading_schema

PATH = "/ingest"
TAG = {"name": "ingest", "description": "For devices. The writer serves it, behind the same front or at its own port."}
SECURITY_SCHEMES: Mapping[str, Any] = {
    "deviceKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The key of the device, which `manage.py provision_device` prints.",
    }
}
_REFUSALS: Mapping[int, str] = {
    400: "The body is not JSON, or every reading in it is refused: then the document has the members of the report.",
    401: "No device key, or an invalid one. The body is not read.",
    405: "The path accepts POST only.",
    408: "The body did not arrive in time.",
    413: "The body is too long, or has more than 10,000 readings.",
    503: "The queue is full and nothing was accepted: send all of it again.",
}
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["status", "title", "detail", "code"],
}


def ingest_operation() -> dict[str, Any]:
    """The operation; it refers to `ingest_schemas` and `SECURITY_SCHEMES` as components."""
    one = [_component("DeviceReading"), _component("DevicePacket")]
    body = {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}, "maxItems": 10_000}]}
    example = {"device_id": "ems_001", "time": "2026-11-23T10:00:00.000Z", "solar_power": 2150, "load_power": 480}
    return {
        "operationId": "ingest",
        "tags": [TAG["name"]],
        "summary": "Send one reading, or a list of up to 10,000",
        "description": "The smallest invalid unit is refused: a value becomes null, a reading is left out, and the "
        "others are stored. Sending a reading again changes nothing; sending another value for its time corrects it.",
        "security": [{name: [] for name in SECURITY_SCHEMES}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": example}}},
        "responses": {
            "200": {
                "description": "What was accepted, refused, adjusted and ignored.",
                "content": {"application/json": {"schema": _component("IngestReport")}},
            },
            **{
                str(status): {"description": about, "content": {CONTENT_TYPE: {"schema": _PROBLEM}}}
                for status, about in _REFUSALS.items()
            },
        },
    }


def ingest_schemas(catalogue: Catalogue) -> dict[str, Any]:
    """The schemas of bodies and response, by name."""
    return {
        "DeviceReading": {
            **reading_schema(catalogue),
            "description": "A flat reading with at least one value.",
        },
        "DevicePacket": {**packet_schema(catalogue), "description": "The same metrics, in groups."},
        "IngestReport": {**REPORT, "description": "What became of the readings of one request."},
    }


def _component(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
