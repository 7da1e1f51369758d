"""GET /api/schema and GET /api/docs."""

from __future__ import annotations

import re
import tomllib
from html.parser import HTMLParser
from typing import Any

import httpx
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from core.catalogue import CATALOGUE
from core.openapi import operation_of
from schema_app.openapi import openapi_document
from schema_app.routes import methods_of, url_patterns
from testing.contract import validator
from testing.process import ROOT

# Pages for browsers and Django's admin are not part of the API.
NOT_THE_API = re.compile(r"/|/login|/logout|/register|/devices|/account|/favicon\.ico|/admin/.*")


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = openapi_document()["paths"].items()
    return [(path, method, item[method]) for path, item in paths for method in item if method != "parameters"]


def test_the_document_is_valid_openapi_3_1(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/api/schema")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert document["info"]["version"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_route_and_method_is_described() -> None:
    documented = openapi_document()["paths"]
    for path, pattern in url_patterns():
        if NOT_THE_API.fullmatch(path):
            continue
        for method, function in methods_of(pattern.callback).items():
            assert operation_of(function), f"{method.upper()} {path}: describe it (core/openapi.py)"
            assert method in documented[path]


def test_operations_have_ids_and_documented_refusals() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    for path, method, operation in operations():
        statuses = set(operation["responses"])
        assert {"400", "405"} <= statuses, (method, path)
        if operation["security"]:
            assert {"401", "503"} <= statuses, (method, path)
        if "{" in path:
            assert {"403", "404"} & statuses, (method, path)


@pytest.mark.parametrize(
    ("status", "header"),
    [("401", "WWW-Authenticate"), ("405", "Allow"), ("429", "Retry-After"), ("503", "Retry-After")],
)
def test_refusals_are_problem_documents_with_their_headers(status: str, header: str) -> None:
    response = openapi_document()["components"]["responses"][f"Refused{status}"]
    assert header in response["headers"]
    assert set(response["content"]) == {"application/problem+json"}


def test_every_example_matches_its_schema() -> None:
    for path, method, operation in operations():
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                assert _errors(parameter["schema"], parameter["example"]) == [], (method, path, parameter["name"])
            default = parameter["schema"].get("default")
            assert default is None or _errors(parameter["schema"], default) == [], (method, path, parameter["name"])
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert _errors(content["schema"], content["example"]) == [], (method, path)


def _errors(schema: dict[str, Any], value: object) -> list[str]:
    return [error.message for error in validator(orjson.dumps(schema)).iter_errors(value)]


def test_metrics_and_limits_match_the_installation() -> None:
    operation = openapi_document()["paths"]["/api/history/{device_id}"]["get"]
    parameters = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    assert parameters["metrics"]["items"]["enum"] == list(CATALOGUE.names)
    assert parameters["max_points"] == {"type": "integer", "minimum": 1, "maximum": 5000, "default": 720}


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_the_document_is_cached_and_revalidated(anonymous: httpx.Client, path: str) -> None:
    first = anonymous.get(path)
    assert "no-cache" in first.headers["cache-control"]
    again = anonymous.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert anonymous.get(path, headers={"If-None-Match": '"another"'}).status_code == 200
    assert anonymous.head(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs", "/livez", "/readyz"])
def test_public_routes_refuse_post(anonymous: httpx.Client, path: str) -> None:
    refused = anonymous.post(path)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD"


class Page(HTMLParser):
    """Collects parts of a page that a strict policy forbids, its anchors, and the links to them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name in ("href", "src"):
                self.links.append(str(value))
            elif name == "style" or name.startswith("on"):
                self.forbidden.append(f"{tag} {name}")


def test_the_page_shows_every_operation_and_schema_without_scripts(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/api/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Page()
    page.feed(answer.text)
    assert {"script", "style"} & set(page.tags) == set()
    assert page.forbidden == []
    assert len(set(page.ids)) == len(page.ids)
    assert {operation["operationId"] for _, _, operation in operations()} <= set(page.ids)
    assert {f"schema-{name}" for name in openapi_document()["components"]["schemas"]} <= set(page.ids)
    for link in page.links:
        if link.startswith("#"):
            assert link.removeprefix("#") in page.ids
        else:
            assert anonymous.get(link).status_code == 200, link
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
