"""GET /api/latest on the real server, Redis and database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from core.catalogue import CATALOGUE
from telemetry.names import ring_key
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_create, device_share
from testing.proxy import TcpProxy
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at, store
from tests.history_app.test_history import refused

FIRST = CATALOGUE.names[0]


def ask(person: Person, *devices: str) -> list[dict[str, Any]]:
    answer = person.http.get("/api/latest", params={"devices": ",".join(devices)} if devices else {})
    assert answer.status_code == 200, answer.text
    body: list[dict[str, Any]] = answer.json()
    return body


def test_the_newest_reading_per_device_in_request_order(stack: Stack, alice: Person, device: str) -> None:
    stored, silent = device_create(owner=alice), device_create(owner=alice)
    now = now_us()
    publish(stack, [reading_at(device, now - SECOND_US, 1.0), reading_at(device, now, 2.0)])
    store(stack, [reading_at(stored, now - 3600 * SECOND_US, 3.0), reading_at(stored, now - 3601 * SECOND_US, 4.0)])
    ring, database, nothing = ask(alice, device, stored, silent)
    assert [ring["device_id"], database["device_id"], nothing["device_id"]] == [device, stored, silent]
    assert (ring["time"], ring["online"]) == (iso_from_us(now), True)
    assert ring["values"] == {name: 2.0 + index for index, name in enumerate(CATALOGUE.names)}
    assert 0 <= ring["age_s"] < 60
    assert (database["time"], database["online"]) == (iso_from_us(now - 3600 * SECOND_US), False)
    assert database["values"][FIRST] == 3.0
    assert 3600 <= database["age_s"] < 3700
    assert nothing == {"device_id": silent, "time": None, "age_s": None, "online": False, "values": None}


def test_the_newest_reading_is_the_newest_in_time(stack: Stack, alice: Person, device: str) -> None:
    now = now_us()
    publish(stack, [reading_at(device, now, 1.0), reading_at(device, now - 5 * SECOND_US, 2.0)])
    assert ask(alice, device)[0]["values"][FIRST] == 1.0


def test_a_ring_full_of_late_readings_does_not_hide_a_newer_stored_one(
    stack: Stack, alice: Person, device: str
) -> None:
    now = now_us()
    store(stack, [reading_at(device, now - 60 * SECOND_US, 1.0)])
    publish(stack, [reading_at(device, now - (3600 - second) * SECOND_US, 2.0) for second in range(30)])
    assert ask(alice, device)[0]["time"] == iso_from_us(now - 60 * SECOND_US)


def test_the_default_devices_are_all_accessible_ones(alice: Person, bob: Person, charlie: Person, device: str) -> None:
    assert ask(charlie) == []
    device_share(device, bob)
    mine = device_create(owner=bob)
    assert [entry["device_id"] for entry in ask(bob)] == sorted([device, mine])


def test_a_share_is_effective_once_announced(alice: Person, bob: Person, device: str) -> None:
    assert ask(bob) == []
    made = alice.http.post(f"/api/devices/{device}/shares", json={"username": bob.username, "role": "viewer"})
    assert made.status_code == 201
    assert [entry["device_id"] for entry in ask(bob)] == [device]
    assert alice.http.delete(f"/api/devices/{device}/shares/{bob.username}").status_code == 204
    assert ask(bob) == []


def test_an_unreadable_ring_counts_as_empty(stack: Stack, alice: Person, device: str) -> None:
    now = now_us()
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        client.xadd(ring_key(device), {"reading": "nonsense"})
        other = device_create(owner=alice)
        client.set(ring_key(other), "not a stream")
    store(stack, [reading_at(device, now), reading_at(other, now)])
    assert [entry["time"] for entry in ask(alice, device, other)] == [iso_from_us(now)] * 2


def test_one_foreign_device_refuses_the_request(alice: Person, bob: Person, device: str) -> None:
    foreign = device_create(owner=bob)
    answers = [
        alice.http.get("/api/latest", params={"devices": f"{device},{other}"})
        for other in (foreign, "no-such-device", "no such device!")
    ]
    refused(answers[0], 403, "device")
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("devices", ["", ",", "ems_1,,ems_2"])
def test_an_empty_name_is_refused(alice: Person, devices: str) -> None:
    refused(alice.http.get("/api/latest", params={"devices": devices}), 400, "devices")


def test_other_errors(alice: Person, anonymous: httpx.Client) -> None:
    refused(alice.http.get("/api/latest?metrics=solar_power"), 400, "metrics")
    refused(alice.http.post("/api/latest"), 405, "GET")
    refused(anonymous.get("/api/latest"), 401, "Sign in")


def test_more_devices_than_the_limit(stack: Stack, logs: Path, alice: Person) -> None:
    devices = [device_create(owner=alice) for _ in range(3)]
    with server_process({**stack.env, "LATEST_MAX_DEVICES": "2"}, logs / "latest-limit.log") as server:
        headers = {"Authorization": f"Bearer {alice.token}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
            refused(client.get("/api/latest"), 413, "devices")
            assert client.get("/api/latest", params={"devices": ",".join(devices[:2])}).status_code == 200


@pytest.fixture(scope="module")
def proxied(stack: Stack, logs: Path) -> Iterator[tuple[str, TcpProxy, TcpProxy]]:
    """A server with proxies to TimescaleDB and to Redis."""
    database, telemetry_url = stack.telemetry_proxy()
    ring, redis_url = stack.redis_proxy()
    env = {**stack.env, "TELEMETRY_URL": telemetry_url, "REDIS_URL": redis_url}
    with server_process(env, logs / "latest-proxied.log") as server:
        yield server.url, database, ring


def test_one_of_database_and_redis_suffices(
    stack: Stack, proxied: tuple[str, TcpProxy, TcpProxy], alice: Person, device: str
) -> None:
    url, database, ring = proxied
    now = now_us()
    store(stack, [reading_at(device, now, 1.0)])
    publish(stack, [reading_at(device, now, 1.0)])
    never = device_create(owner=alice)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {alice.token}"}, timeout=30) as client:

        def times(*devices: str) -> list[str | None]:
            answer = client.get("/api/latest", params={"devices": ",".join(devices)})
            assert answer.status_code == 200, answer.text
            return [entry["time"] for entry in answer.json()]

        database.cut()
        try:
            assert times(device) == [iso_from_us(now)]
            refused(client.get("/api/latest", params={"devices": f"{device},{never}"}), 503, "database")
        finally:
            database.restore()
        ring.cut()
        try:
            assert times(device, never) == [iso_from_us(now), None]
            database.cut()
            answer = client.get("/api/latest", params={"devices": device})
            refused(answer, 503, "database")
            assert int(answer.headers["retry-after"]) > 0
        finally:
            database.restore()
            ring.restore()
