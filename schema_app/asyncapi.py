"""The AsyncAPI 3.0 document of the sockets: the live one, and the one that devices send to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from live_app.delivery import frames, protocol, requests
from live_app.schemas import CURSOR, FrameShape
from telemetry import device_socket
from telemetry.catalogue import DEFAULT_PATH, Catalogue, catalogue_load
from telemetry.names import DEVICE_ID_RULE
from telemetry.schemas import REPORT, packet_schema, reading_schema

ABOUT = """\
Text frames, one JSON object each. History first (`GET /api/history`, see the OpenAPI document), then `subscribe` with
`since` = its `cursor`: every reading comes exactly once, in time order. In words: docs/live.md and docs/own-writer.md.

Close codes stand under `x-close-codes`. After those with `reconnect` a client comes back, with jittered back-off."""
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, from programs."},
    "ticket": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "From browsers: `wattstream.v1, ticket.<ticket>`, with a ticket of POST /api/auth/ws-ticket.",
    },
    "session": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "From the pages of this server. An Origin, where there is one, must be allowed.",
    },
    "deviceKey": {"type": "http", "scheme": "bearer", "description": "The key that provision_device printed."},
}
DEVICE_PARAMETER = {"device_id": {"description": f"{DEVICE_ID_RULE}.", "examples": ["ems_001"]}}


def asyncapi_document(version: str, catalogue: Catalogue | None = None) -> dict[str, Any]:
    """With the metrics of `catalogue`, by default those of telemetry/catalogue.toml."""
    catalogue = catalogue or catalogue_load(DEFAULT_PATH)
    device = _device_messages(catalogue)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "wattstream sockets", "version": version, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "server": _server("localhost:8000", "What users connect to.", ["bearer", "ticket", "session"]),
            "writer": _server("localhost:8001", "What devices send to.", ["deviceKey"]),
        },
        "channels": {
            "live": _channel("/ws/live", "Any number of devices.", "server", _LIVE_FRAMES, _LIVE_CLOSES),
            "liveDevice": {
                **_channel(
                    "/ws/live/{device_id}", "The same, with that device subscribed on connect.", "server",
                    _LIVE_FRAMES, _LIVE_CLOSES,
                ),
                "parameters": DEVICE_PARAMETER,
                "bindings": {"ws": {"query": {"type": "object", "properties": {"since": CURSOR}}}},
            },
            "device": {
                **_channel(
                    "/ws/device/{device_id}", "One reading per message, one response each.", "writer", device,
                    {str(code): {"about": about} for code, about in device_socket.CLOSE_CODES.items()},
                ),
                "parameters": DEVICE_PARAMETER,
            },
        },
        "operations": {
            **_operations("live", requests.SHAPES, frames.SHAPES),
            **_operations("liveDevice", requests.SHAPES, frames.SHAPES),
            **_operations("device", ["deviceReading", "devicePacket"], ["deviceReport"]),
        },
        "components": {
            "messages": {
                **{shape.kind: _frame(shape) for shape in (*requests.SHAPES.values(), *frames.SHAPES.values())},
                **device,
            },
            "schemas": {"MetricName": {"type": "string", "enum": list(catalogue.names)}},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }  # fmt: skip


_LIVE_FRAMES = [*requests.SHAPES, *frames.SHAPES]
_LIVE_CLOSES = {
    str(code): {"about": about, "reconnect": comes_back} for code, (about, comes_back) in protocol.CLOSE_CODES.items()
}


def _server(host: str, about: str, security: Iterable[str]) -> dict[str, Any]:
    return {
        "host": host,
        "protocol": "ws",
        "description": about,
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in security],
    }


def _channel(
    address: str, about: str, server: str, messages: Iterable[str], closes: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "address": address,
        "description": about,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "x-close-codes": closes,
    }


def _operations(channel: str, taken: Iterable[str], sent: Iterable[str]) -> dict[str, Any]:
    """The operations of a channel, from the view of the server."""
    return {
        f"{channel}{action.capitalize()}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        }
        for action, names in (("receive", taken), ("send", sent))
    }


def _frame(shape: FrameShape) -> dict[str, Any]:
    return {"name": shape.kind, "summary": shape.about, "payload": shape.schema}


def _device_messages(catalogue: Catalogue) -> dict[str, Any]:
    described = {
        "deviceReading": ("A flat reading.", reading_schema(catalogue)),
        "devicePacket": ("The nested packet.", packet_schema(catalogue)),
        "deviceReport": ("The response to one reading; each index in it is 0.", REPORT),
    }
    return {name: {"name": name, "summary": about, "payload": schema} for name, (about, schema) in described.items()}
