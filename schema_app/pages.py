"""The OpenAPI document as a page: words instead of schemas, and a command to try for each operation."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Document = Mapping[str, Any]
_MANY = 12  # a page shows only the first few of more words than this


def page_context(document: Document) -> dict[str, Any]:
    """The context of `docs.html`."""
    shown = list(_operations(document))
    return {
        "info": document["info"],
        "about": [prose(paragraph) for paragraph in document["info"]["description"].split("\n\n")],
        "groups": [
            {"tag": tag, "operations": [operation for operation in shown if operation["tag"] == tag["name"]]}
            for tag in document["tags"]
        ],
        "schemas": [
            {"name": name, "about": prose(schema.get("description", "")), "fields": _fields(schema)}
            for name, schema in sorted(document["components"]["schemas"].items())
        ],
        "security": [
            {"name": name, "about": prose(scheme["description"])}
            for name, scheme in document["components"]["securitySchemes"].items()
        ],
    }


def prose(text: str) -> SafeString:
    """Escape `text`, and mark the parts in backticks as code."""
    parts = [(("<code>{}</code>" if index % 2 else "{}"), part) for index, part in enumerate(text.split("`"))]
    return format_html_join("", "{}", ((format_html(how, part),) for how, part in parts))


def words(schema: Any) -> SafeString:
    """A short description of a schema; a link for a named one."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return format_html('<a href="#schema-{}">{}</a>', name, name)
    if "anyOf" in schema:
        return format_html_join(" or ", "{}", ((words(part),) for part in schema["anyOf"]))
    if "enum" in schema:
        return _choices([str(item) for item in schema["enum"]])
    kinds = schema.get("type", "anything")
    if kinds == "array":
        return format_html("list of {}", words(schema["items"]))
    text = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    return format_html("{}{}", text, _bounds(schema))


def _choices(items: list[str]) -> SafeString:
    rest = ", …" if len(items) > _MANY else ""
    return format_html("{}{}", format_html_join(", ", "<code>{}</code>", ((item,) for item in items[:_MANY])), rest)


def _bounds(schema: Document) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    if "maxLength" in schema:
        return f" of at most {schema['maxLength']} characters"
    return f" ({schema['format']})" if "format" in schema else ""


def _operations(document: Document) -> Iterator[dict[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                yield _operation(document, path, method, operation, parameters)


def _operation(
    document: Document, path: str, method: str, operation: Document, parameters: list[Document]
) -> dict[str, Any]:
    body = _body(operation)
    answers = [(status, _found(document, answer)) for status, answer in sorted(operation["responses"].items())]
    return {
        "id": operation["operationId"],
        "tag": operation["tags"][0],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "about": prose(operation.get("description", "")),
        "parameters": [_field(parameter, parameter["schema"], parameter["name"]) for parameter in parameters],
        "body": None if body is None else words(body["schema"]),
        "answers": [
            {
                "status": status,
                "about": prose(answer["description"]),
                "content": [(media, words(content["schema"])) for media, content in answer.get("content", {}).items()],
                "headers": list(answer.get("headers", {})),
            }
            for status, answer in answers
        ],
        "command": command(path, method, operation, parameters),
    }


def _found(document: Document, answer: Document) -> Document:
    """A response, resolved if it is a reference."""
    name = answer.get("$ref", "").rpartition("/")[2]
    found: Document = document["components"]["responses"][name] if name else answer
    return found


def _body(operation: Document) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    return next(iter(content.values()), None)


def _fields(schema: Document) -> list[dict[str, Any]]:
    required = schema.get("required", [])
    return [
        _field({**field, "required": name in required}, field, name)
        for name, field in schema.get("properties", {}).items()
    ]


def _field(described: Document, schema: Document, name: str) -> dict[str, Any]:
    default = schema.get("default")
    return {
        "name": name,
        "place": described.get("in", ""),
        "required": described.get("required", False),
        "words": words(schema),
        "default": ",".join(default) if isinstance(default, list) else default,
        "about": prose(described.get("description", "")),
    }


def command(path: str, method: str, operation: Document, parameters: list[Document]) -> str:
    """A curl command that works unchanged, given `URL`, `TOKEN` and a device with that id."""
    parts = ["curl", f'"$URL{example_path(path, parameters)}"']
    if method not in ("get", "post"):
        parts += ["-X", method.upper()]
    body = _body(operation)
    if body is not None:
        parts += ["--json", shlex.quote(json.dumps(body["example"]))]
    elif method == "post":
        parts += ["-X", "POST"]
    if operation["security"]:
        secret = "DEVICE_KEY" if "deviceKey" in operation["security"][0] else "TOKEN"
        parts += ["-H", f'"Authorization: Bearer ${secret}"']
    return " ".join(parts)


def example_path(path: str, parameters: list[Document]) -> str:
    """The path with its examples filled in, and the first query parameter that has an example."""
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    asked = [parameter for parameter in parameters if parameter["in"] == "query" and "example" in parameter][:1]
    query = {parameter["name"]: _joined(parameter["example"]) for parameter in asked}
    return f"{path}?{urlencode(query)}" if query else path


def _joined(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
