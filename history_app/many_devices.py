"""The body of a history question about many devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

from core.errors import BadRequest, TooLarge
from core.openapi import STRING, Shape, listed, nullable
from core.parameters import Parameter
from history_app.parameters import QUESTION


@dataclass(frozen=True, slots=True)
class Query:
    """A body: the devices in the requested order, each once, and the other fields as parameters of GET history."""

    device_ids: tuple[str, ...]
    parameters: Mapping[str, str]


def query_parse(body: bytes) -> Query:
    """Check the form of a body. The values are checked later, like the parameters of GET history.

    Raises `BadRequest` naming the field and what is accepted, and `TooLarge` for more than HISTORY_MAX_DEVICES.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"body: not JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise BadRequest('body: accepted is a JSON object, e.g. {"devices": ["ems_001"], "range": "24h"}.')
    unknown = set(fields) - {"devices", *_FIELDS}
    if unknown:
        raise BadRequest(f"{min(unknown)[:40]}: there is no such field; accepted are devices, {', '.join(_FIELDS)}.")
    device_ids = tuple(dict.fromkeys(_devices(fields.get("devices"))))
    given = {name: value for name, value in fields.items() if name != "devices" and value is not None}
    return Query(device_ids, {name: _FIELDS[name](name, value) for name, value in given.items()})


def _devices(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise BadRequest('devices: accepted is a list of at least one device id, e.g. ["ems_001", "ems_002"].')
    if len(value) > settings.HISTORY_MAX_DEVICES:
        raise TooLarge(f"devices: {len(value)} are more than {settings.HISTORY_MAX_DEVICES}; name fewer at once.")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{name}: accepted is a string.")
    return value


def _time(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise BadRequest(f"{name}: accepted is ISO 8601 as a string, or epoch milliseconds as a whole number.")
    return str(value)


def _number(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequest(f"{name}: accepted is a whole number.")
    return str(value)


def _list(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise BadRequest(f"{name}: accepted is a list of strings, or one string with commas between.")
    return ",".join(value)


_FIELDS: Mapping[str, Callable[[str, object], str]] = {
    "range": _text,
    "start": _time,
    "end": _time,
    "metrics": _list,
    "agg": _list,
    "resolution": _text,
    "max_points": _number,
    "tz": _text,
    "fill": _text,
}


def _field_schema(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.schema
    if _FIELDS[parameter.name] is _list:
        schema = {"anyOf": [schema, STRING]}
    default = {} if parameter.default is None else {"default": parameter.default}
    return {**nullable(schema), **default, "description": parameter.description}


QUERY_BODY = Shape(
    "Query",
    {
        "type": "object",
        "properties": {
            "devices": listed(
                STRING,
                minItems=1,
                maxItems=settings.HISTORY_MAX_DEVICES,
                description="Device ids; each counts once. One that is not yours: 403 for the whole.",
            ),
            **{name: _field_schema(QUESTION[name]) for name in _FIELDS},
        },
        "required": ["devices"],
        "additionalProperties": False,
    },
)
