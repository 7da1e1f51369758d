"""GET /livez, /readyz, /metrics."""

from __future__ import annotations

import secrets

import httpx

from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter


def test_is_alive_and_ready(writer: Process) -> None:
    assert httpx.get(f"{writer.url}/livez").status_code == 200
    wait_until(lambda: httpx.get(f"{writer.url}/readyz", timeout=10).status_code == 200, "ready")


def test_the_writer_is_not_ready_without_the_database(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    writer = start_writer(TELEMETRY_ADMIN_URL=url)
    proxy.cut()
    answer = httpx.get(f"{writer.url}/readyz", timeout=10)
    assert (answer.status_code, answer.json()["detail"]) == (503, "Not reachable: the telemetry database.")
    assert httpx.get(f"{writer.url}/livez").status_code == 200
    proxy.restore()
    wait_until(lambda: httpx.get(f"{writer.url}/readyz", timeout=10).status_code == 200, "ready again")


def test_the_writer_is_not_ready_without_redis(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.redis_proxy()
    writer = start_writer(REDIS_URL=url)
    proxy.cut()
    answer = httpx.get(f"{writer.url}/readyz", timeout=10)
    assert (answer.status_code, answer.json()["detail"]) == (503, "Not reachable: Redis.")
    proxy.restore()
    wait_until(lambda: httpx.get(f"{writer.url}/readyz", timeout=10).status_code == 200, "ready again")


def test_metrics_are_prometheus_text(writer: Process) -> None:
    answer = httpx.get(f"{writer.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in answer.text.splitlines():
        name = line.split()[2] if line.startswith("#") else line.split("{")[0].split()[0]
        assert name.startswith("wattstream_writer_")
    for name in ("received", "accepted", "stored", "duplicates", "batches", "store_errors", "published", "ring_resets"):
        assert f"# TYPE wattstream_writer_{name}_total counter" in answer.text


def test_metrics_need_the_token_if_there_is_one(start_writer: StartWriter) -> None:
    token = secrets.token_urlsafe(24)
    url = f"{start_writer(METRICS_TOKEN=token).url}/metrics"
    assert [httpx.get(url, headers=headers).status_code for headers in (None, {"Authorization": "Bearer x"})] == [
        401
    ] * 2
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_metrics_without_a_token_are_for_this_machine_only(writer: Process) -> None:
    answer = httpx.get(f"{writer.url}/metrics", headers={"X-Forwarded-For": "203.0.113.7"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
