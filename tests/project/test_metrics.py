"""GET /metrics: access and counters. test_workers.py covers several workers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from telemetry.keys import device_key
from telemetry.times import iso_from_us
from testing.cast import Person
from testing.metrics import Scrape, scrape
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store
from testing.waiting import wait_until

TOKEN = secrets.token_urlsafe(24)
FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")


# --- who may read them -------------------------------------------------------------------------------------------


def test_metrics_are_readable_locally_without_a_token(server: Process) -> None:
    assert "wattstream_http_requests_total" in scrape(server).names


@pytest.mark.parametrize("header", FORWARDED)
def test_requests_of_a_local_proxy_are_not_local(header: str, server: Process) -> None:
    answer = httpx.get(f"{server.url}/metrics", headers={header: "127.0.0.1"}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "wattstream_" not in answer.text


def test_other_host_names_are_refused(server: Process) -> None:
    """With DNS rebinding a page could pass a check of the address alone."""
    answer = httpx.get(f"{server.url}/metrics", headers={"Host": "elsewhere.example"}, timeout=20)
    assert answer.status_code == 400


def test_only_get_is_allowed(server: Process) -> None:
    assert httpx.post(f"{server.url}/metrics", timeout=20).status_code == 405


@pytest.fixture(scope="module")
def guarded(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with a METRICS_TOKEN that trusts a front on this machine."""
    env = {**stack.env, "METRICS_TOKEN": TOKEN, "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    with server_process(env, tmp_path_factory.mktemp("guarded") / "server.log") as process:
        yield process


@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"],
    ids=["none", "empty", "no token", "wrong token", "wrong scheme", "no scheme", "one more character"],
)
def test_a_configured_token_is_required_even_locally(shown: str | None, guarded: Process) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    answer = httpx.get(f"{guarded.url}/metrics", headers=headers, timeout=20)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_allows_access_from_anywhere(guarded: Process) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9"}
    assert httpx.get(f"{guarded.url}/metrics", headers=headers, timeout=20).status_code == 200


def test_requests_through_a_trusted_front_are_not_local(stack: Stack, tmp_path: Path) -> None:
    with server_process({**stack.env, "FORWARDED_ALLOW_IPS": "127.0.0.1"}, tmp_path / "server.log") as server:
        for client in ("203.0.113.9", "127.0.0.1"):
            headers = {"X-Forwarded-For": client}
            assert httpx.get(f"{server.url}/metrics", headers=headers, timeout=20).status_code == 403
        assert httpx.get(f"{server.url}/metrics", timeout=20).status_code == 200


# --- what they count ---------------------------------------------------------------------------------------------


class Since:
    """The change of samples since construction."""

    def __init__(self, server: Process) -> None:
        self._server = server
        self._before = scrape(server)

    def __call__(self, sample: str, **labels: str) -> float:
        return scrape(self._server).value(sample, **labels) - self._before.value(sample, **labels)


def test_requests_are_counted_by_route_and_status_and_never_by_path(
    server: Process, anonymous: httpx.Client, alice: Person, device: str
) -> None:
    since = Since(server)
    assert alice.http.get(f"/api/history/{device}").status_code == 200
    assert alice.http.get("/api/history/nothing").status_code == 403
    assert alice.http.get("/api/auth/me").status_code == 200
    assert anonymous.get("/api/auth/me").status_code == 401
    assert anonymous.get(f"/nowhere/{device}").status_code == 404
    counted = "wattstream_http_requests_total"
    assert since(counted, route="/api/history/{device_id}", method="GET", status="200") == 1
    assert since(counted, route="/api/history/{device_id}", method="GET", status="403") == 1
    assert since(counted, route="/api/auth/me", status="200") == 1
    assert since(counted, route="unmatched", status="404") == 1
    assert since("wattstream_http_request_seconds_count", route="/api/history/{device_id}") == 2
    assert since("wattstream_denials_total", where="http", reason="forbidden") == 1
    assert since("wattstream_denials_total", where="http", reason="unauthorized") == 1
    assert not [route for route in scrape(server).labels(counted, "route") if device in route]


def test_unknown_methods_share_one_label(server: Process, anonymous: httpx.Client) -> None:
    anonymous.request("PROPFIND", "/livez")
    assert scrape(server).labels("wattstream_http_requests_total", "method") <= {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
    }  # fmt: skip


def test_queries_are_counted_by_tier(server: Process, stack: Stack, alice: Person, device: str) -> None:
    store(stack, readings_each_second(device, now_us() - 3_600_000_000, 600))
    since = Since(server)
    assert alice.http.get(f"/api/history/{device}?range=1h&resolution=raw").status_code == 200
    answer = alice.http.get(f"/api/history/{device}?range=24h")
    assert answer.json()["source"] == "energy_data_5m"
    counted = "wattstream_telemetry_query_seconds_count"
    assert since(counted, question="history", tier="raw") == 1
    assert since(counted, question="history", tier="5m") == 1
    assert since("wattstream_pool_requests_total") >= 2
    assert scrape(server).value("wattstream_pool_connections") >= 1


def test_sockets_devices_deliveries_and_closes_are_counted(
    server: Process, stack: Stack, alice: Person, bob: Person, device: str
) -> None:
    since = Since(server)
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        live.subscribe("nothing", request_id=2)
        live.until_type("error")
        readings = readings_each_second(device, now_us(), 3)
        publish(stack, readings)
        live.until_time(device, readings[-1].us)
        assert since("wattstream_live_sockets") == since("wattstream_live_sessions") == 1
        assert since("wattstream_live_devices") == 1
        assert since("wattstream_live_joins_total") == 1
        assert since("wattstream_live_readings_total") == 3
        assert since("wattstream_live_deliveries_total") >= 6  # welcome, subscribed, error, three readings
        assert since("wattstream_denials_total", where="frame", reason="forbidden") == 1
    with LiveSocket(server.url, person=bob, path=f"/ws/live/{device}") as refused:
        assert refused.close_code() == 4403
    with LiveSocket(server.url) as nobody:
        assert nobody.close_code() == 4401
    wait_until(lambda: since("wattstream_live_sockets") == 0, "the sockets are gone")
    for code in ("1000", "4401", "4403"):
        assert since("wattstream_live_closes_total", code=code) == 1
    assert since("wattstream_denials_total", where="socket") == 2


def test_unknown_close_codes_share_one_label(server: Process, alice: Person) -> None:
    since = Since(server)
    with LiveSocket(server.url, person=alice) as live:
        live.next()
        live._connection.close(4999)
    wait_until(lambda: since("wattstream_live_closes_total", code="other") == 1, "the close")
    assert "4999" not in scrape(server).labels("wattstream_live_closes_total", "code")


def test_the_lag_from_publishing_to_sending_is_measured_with_the_heartbeat(
    server: Process, writer: Process, stack: Stack, alice: Person, device: str
) -> None:
    since = Since(server)
    lag = "wattstream_live_publish_to_send_seconds"
    with LiveSocket(server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        us = now_us()
        headers = {"Authorization": f"Bearer {device_key(stack.env['INGEST_SECRET'], device)}"}
        reading = {"device_id": device, "time": iso_from_us(us), "grid_power": 1.0}
        httpx.post(f"{writer.url}/ingest", json=reading, headers=headers, timeout=20).raise_for_status()
        live.until_time(device, us)
        wait_until(lambda: since(f"{lag}_count") >= 2, "two heartbeats")
    now = scrape(server)
    assert 0 < now.value(f"{lag}_sum") / now.value(f"{lag}_count") < 60
    assert now.value("wattstream_heartbeat_age_seconds") < 60


def test_a_broken_stream_counts_as_a_refill_and_a_connection(
    stack: Stack, tmp_path: Path, alice: Person, device: str
) -> None:
    proxy, url = stack.redis_proxy()
    env = {**stack.env, "REDIS_URL": url}
    with server_process(env, tmp_path / "server.log") as server, LiveSocket(server.url, person=alice) as live:
        live.subscribe(device)
        live.until_type("subscribed")
        first = readings_each_second(device, now_us(), 1)
        publish(stack, first)
        live.until_time(device, first[0].us)
        since = Since(server)
        proxy.cut()
        wait_until(lambda: since("wattstream_live_connections_total") >= 1, "the loss is noticed")
        proxy.restore()
        wait_until(lambda: since("wattstream_live_refills_total") == 1, "the refill")
        assert scrape(server).value("wattstream_live_redis_connected") == 1


def test_labels_have_a_fixed_set_of_values(server: Process) -> None:
    """Input of a visitor must not make the response longer."""
    found: Scrape = scrape(server)
    labels = {name for family in found.families for sample in family.samples for name in sample.labels}
    assert labels <= {"route", "method", "status", "where", "reason", "code", "question", "tier", "le"}
