"""Every text parameter, body and frame with what is long, deep, of another type or at the end of time: never a 5xx.

A 503 counts too: nothing is saturated here. `tests/schema_app/test_any_request.py` generates requests from the schema;
here are the values that a schema does not suggest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from schema_app.openapi import openapi_document
from telemetry.keys import device_key
from testing.cast import Person, device_create, person_create
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from tests.project.test_csrf import PATHS

pytestmark = pytest.mark.processes

DEEP = 3_000
# Beyond its attempt limits, login still parses its body, but hashes no more passwords.
NO_LIMITS = dict.fromkeys(
    ("REGISTRATIONS_PER_ACCOUNT", "REGISTRATIONS_PER_ADDRESS", "CLAIM_FAILURES_PER_USER", "CLAIM_FAILURES_PER_ADDRESS",
     "API_KEYS_MADE_PER_ACCOUNT", "API_KEYS_MADE_PER_ADDRESS", "LIVE_FRAMES_PER_SECOND"), "1000000",
)  # fmt: skip
TIMES = [
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "9999-12-31T23:59:59.999999Z", "-1", "1e400",
    "9" * 30, "0000-00-00", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99", "NaN", "Infinity", "-62135596800000",
]  # fmt: skip
TEXTS = [
    *TIMES, "", " ", "\x00", "\ufffe", "😀" * 50, "T" * 40_000, "0" * 40_000, "," * 20_000, "a," * 10_000, ":" * 20_000,
    "../" * 5_000, "%" * 20_000, "1" * 5_000 + "d", "é" * 5_000, "-" * 20_000, "2026-" * 5_000,
]  # fmt: skip


def nested(depth: int, value: Any = None) -> Any:
    for _ in range(depth):
        value = [value]
    return value


VALUES: list[Any] = [
    *TEXTS, None, True, 0, -1, 10**30, 1.5, 1e308, [], {}, [[]], nested(900), {"a": nested(500)}, [None] * 1_000,
    ["x"] * 3_000, ["x" * 20_000], {str(number): 1 for number in range(1_000)}, [{}] * 500,
]  # fmt: skip
BROKEN = [
    b"", b"[" * 60_000, b'{"a":' * 10_000, b"{", b"\xff\xfe", b"null", b"1" * 60_000, b'"' + b"\\u0000" * 5_000 + b'"',
    b'{"a": 1e999999}', b'{"a": NaN}', b'{"\\ud800": "\\udfff"}', b'{"username": ["' + b"x" * 60_000 + b'"]}',
]  # fmt: skip


def query_parameters() -> dict[str, list[str]]:
    """The text parameters in the query of each GET route."""
    found: dict[str, list[str]] = {}
    for path, item in openapi_document()["paths"].items():
        operation = item.get("get", {})
        given = [*item.get("parameters", []), *operation.get("parameters", [])]
        names = [one["name"] for one in given if one.get("in") == "query"]
        if names:
            found[path] = names
    return found


def bodies() -> list[tuple[str, str, list[str]]]:
    """Method, path and the fields of the body of each route that takes one."""
    document = openapi_document()
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                while "$ref" in schema:
                    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                found.append((method.upper(), path, sorted(schema.get("properties", {}))))
    return found


@pytest.fixture(scope="module")
def server(stack: Stack, logs: Path) -> Iterator[Process]:
    with server_process({**stack.env, **NO_LIMITS}, logs / "fuzz.log") as process:
        yield process
        assert "Traceback" not in process.log.read_text()


@pytest.fixture(scope="module")
def owner(server: Process) -> Iterator[Person]:
    person = person_create("fuzzed", base_url=server.url)
    yield person
    person.http.close()


@pytest.fixture(scope="module")
def mine(owner: Person) -> str:
    return device_create(owner=owner)


@pytest.fixture
def http(server: Process, owner: Person) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {owner.token}"}, timeout=60) as client:
        yield client


def refused(response: httpx.Response, what: object) -> None:
    assert response.status_code < 500, f"{response.request.method} {response.request.url.path}: {what!r:.200}"


@pytest.mark.parametrize("path", query_parameters())
def test_query_parameters(http: httpx.Client, mine: str, path: str) -> None:
    address = path.replace("{device_id}", mine)
    for name in query_parameters()[path]:
        for value in TEXTS:
            with http.stream("GET", address, params={name: value}) as response:  # an event stream has no end
                refused(response, (name, value))


def test_path_parameters(http: httpx.Client) -> None:
    paths = [path for path in openapi_document()["paths"] if "{" in path]
    for path in paths:
        for value in TEXTS:
            address = re.sub(r"{\w+}", lambda _, value=value: quote(value, safe="")[:9_000], path)  # type: ignore[misc]
            with http.stream("GET", address) as response:
                refused(response, value)


HEADERS = ["Authorization", "Cookie", "If-None-Match", "Accept-Encoding", "X-CSRFToken", "Host"]


@pytest.mark.parametrize("header", HEADERS)
def test_headers(http: httpx.Client, mine: str, header: str) -> None:
    for text in TEXTS:
        value = text.strip().encode().replace(b"\x00", b"?")[:30_000]
        for prefix in (b"", b"Bearer x", b"sessionid=", b'W/"'):
            sent = [(header.encode(), prefix + value)]
            refused(http.get(f"/api/history/{mine}?range=10m", headers=sent), (header, prefix, text))


@pytest.mark.parametrize(("method", "path", "fields"), bodies(), ids=lambda value: str(value)[:40])
def test_bodies(http: httpx.Client, mine: str, method: str, path: str, fields: list[str]) -> None:
    """Device and token are restored by nobody: no value here is one that succeeds."""
    address = path.replace("{device_id}", mine).replace("{id}", "1").replace("{token_id}", "1")
    kind = {"Content-Type": "application/json"}
    for body in BROKEN:
        refused(http.request(method, address, content=body, headers=kind), body)
    good = dict.fromkeys(fields, "x")
    for value in VALUES:
        sent = json.dumps(value).encode()
        refused(http.request(method, address, content=sent, headers=kind), value)
        for field in fields:
            sent = json.dumps({**good, field: value}).encode()
            refused(http.request(method, address, content=sent, headers=kind), (field, value))


def test_forms(http: httpx.Client) -> None:
    for path in ("/login", "/register", "/admin/login/"):
        for value in TEXTS:
            refused(http.post(path, data={"username": value, "password": value, "csrfmiddlewaretoken": value}), value)
            refused(http.post(path, files={"username": ("x", value.encode("utf-8", "surrogatepass")[:60_000])}), value)


def test_other_methods(http: httpx.Client) -> None:
    for path in PATHS:
        for method in ("PUT", "PATCH", "OPTIONS", "PROPFIND"):
            refused(http.request(method, path, content=b"[" * 1_000), method)


def test_frames(server: Process, owner: Person, mine: str) -> None:
    """Each frame is answered, or closes the socket with a code for what the client did."""
    good: dict[str, Any] = {"type": "subscribe", "id": 1, "devices": [mine], "since": None, "interval_ms": 0}
    good["metrics"] = ["battery_soc"]
    values = [value for value in VALUES if len(json.dumps(value)) < 60_000]
    values += [{mine: nested(500)}, *({mine: time} for time in TIMES)]
    codes: set[int | None] = set()
    for field in good:
        socket = LiveSocket(server.url, person=owner)
        for number, value in enumerate(values):
            try:
                socket.send(**{**good, field: value})
                socket.send(type="ping", id=f"last {number}")
                socket.until(lambda frame, number=number: frame.get("id") == f"last {number}")  # type: ignore[misc]
            except ConnectionClosed as closed:
                codes.add(closed.rcvd.code if closed.rcvd else None)
                socket = LiveSocket(server.url, person=owner)
        socket.close()
    assert codes <= {4400, 4429}


def test_the_writer(writer: Process, stack: Stack, mine: str) -> None:
    key = device_key(stack.env["INGEST_SECRET"], mine)
    assert key
    names = ["device_id", "time", "timestamp", "battery_voltage", "battery", "x" * 5_000]
    with httpx.Client(base_url=writer.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        for body in BROKEN:
            refused(http.post("/ingest", content=body), body)
        for value in VALUES:
            refused(http.post("/ingest", content=json.dumps(value).encode()), value)
            for name in names:
                reading = {"device_id": mine, "time": "2026-01-01T00:00:00Z", name: value}
                refused(http.post("/ingest", content=json.dumps(reading).encode()), (name, value))
                refused(http.post("/ingest", content=json.dumps([reading] * 3).encode()), (name, value))
