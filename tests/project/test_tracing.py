"""OpenTelemetry: with an endpoint, spans reach a collector; without one, no package of it is imported."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from testing.cast import Person
from testing.process import ROOT
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
# Only these modules: redis-py imports the OpenTelemetry API by itself if it is installed.
IMPORTED = """
import sys, asgi_project.asgi
print([name for name in sys.modules if name.startswith(("opentelemetry.exporter", "opentelemetry.sdk.trace"))])
"""
WITHOUT_ANY_OF_IT = """
import sys
sys.modules["opentelemetry"] = None
import asgi_project.asgi
print("imported")
"""
WITHOUT_PACKAGES = """
import sys
sys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = None
sys.argv = ["serve", "--port", "1"]
from asgi_project.server.serve import main
main()
"""


class Collector:
    """An OTLP receiver on loopback (POST /v1/traces, protobuf) that keeps every span and body."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.bodies = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        message = ExportTraceServiceRequest.FromString(body)
        self.bodies += body
        for of_resource in message.resource_spans:
            named = {item.key: item.value.string_value for item in of_resource.resource.attributes}
            self.services.add(named["service.name"])
            for of_scope in of_resource.scope_spans:
                self.spans.extend(of_scope.spans)

    def named(self, name: str) -> list[Any]:
        return [span for span in list(self.spans) if span.name == name]

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def attributes(span: Any) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def test_spans_of_requests_queries_and_joins_contain_no_secrets(
    collector: Collector, stack: Stack, tmp_path: Path, alice: Person, device: str
) -> None:
    env = {
        **stack.env,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
    }
    with server_process(env, tmp_path / "server.log") as server:
        headers = {"Authorization": f"Bearer {alice.token}", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        url = f"{server.url}/api/history/{device}?range=24h"
        forwarded = httpx.get(url, headers={**headers, "X-Forwarded-For": "203.0.113.9"}, timeout=20)
        assert forwarded.status_code == 200
        assert httpx.get(url, headers=headers, timeout=20).status_code == 200
        with LiveSocket(server.url, person=alice) as live:
            live.subscribe(device)
            live.until_type("subscribed")
        wait_until(lambda: len(collector.named("GET /api/history/{device_id}")) == 2, "both requests")
        wait_until(lambda: collector.named("live join"), "the join")
        wait_until(lambda: len(collector.named("telemetry query")) >= 2, "the queries")
    requests = {span.trace_id.hex(): span for span in collector.named("GET /api/history/{device_id}")}
    request = requests.pop(TRACE)
    assert request.parent_span_id.hex() == PARENT, "a trace of a trusted front continues"
    assert not next(iter(requests.values())).parent_span_id, "a trace id of a client is ignored"
    assert attributes(request).items() >= {
        "http.request.method": "GET", "http.route": "/api/history/{device_id}", "http.response.status_code": 200,
        "wattstream.request_id": forwarded.headers["x-request-id"],
    }.items()  # fmt: skip
    queries = [span for span in collector.named("telemetry query") if span.parent_span_id == request.span_id]
    told = [attributes(span) for span in queries]
    assert {"wattstream.question": "history", "wattstream.tier": "5m"} in told
    assert collector.services == {"wattstream-server"}
    for secret in (alice.token, device, alice.username, stack.env["SECRET_KEY"]):
        assert secret.encode() not in collector.bodies


def test_the_last_spans_are_sent_at_shutdown(collector: Collector, stack: Stack, tmp_path: Path) -> None:
    env = {**stack.env, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with server_process(env, tmp_path / "server.log") as server:
        assert httpx.get(f"{server.url}/api/auth/me", timeout=20).status_code == 401
        assert not collector.spans
    assert collector.named("GET /api/auth/me")


def test_an_unavailable_collector_does_not_delay_requests(
    stack: Stack, tmp_path: Path, alice: Person, device: str
) -> None:
    with Collector() as gone:
        pass
    env = {**stack.env, "OTEL_EXPORTER_OTLP_ENDPOINT": gone.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with server_process(env, tmp_path / "server.log") as server:
        headers = {"Authorization": f"Bearer {alice.token}"}
        assert httpx.get(f"{server.url}/api/history/{device}", headers=headers, timeout=20).status_code == 200


def test_without_an_endpoint_no_tracing_package_is_imported(stack: Stack) -> None:
    assert run(IMPORTED, stack.env).stdout.strip() == "[]"
    assert run(WITHOUT_ANY_OF_IT, stack.env).stdout.strip() == "imported"


def test_an_endpoint_without_the_packages_is_rejected(stack: Stack) -> None:
    done = run(WITHOUT_PACKAGES, {**stack.env, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert done.returncode == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages of the extra otel are missing" in done.stderr
    assert "requirements/otel.lock" in done.stderr
    assert (ROOT / "requirements/otel.lock").exists()


def run(code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
