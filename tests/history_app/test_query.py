"""POST /api/history/query on the real server and database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_create, device_share
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, readings_each_second, store
from tests.history_app.test_history import MINUTE_US, refused, us

START = us("2026-06-15T12:00:00Z")
ROUTE = "/api/history/query"
OWN = ("device_id", "source", "points", "cursor", "reach_s", "time", "count", "metrics")


def ask(person: Person, **body: Any) -> dict[str, Any]:
    answer = person.http.post(ROUTE, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def one(person: Person, device_id: str, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = person.http.get(f"/api/history/{device_id}", params=parameters).json()
    return found


@pytest.fixture
def three(stack: Stack, alice: Person, bob: Person) -> list[str]:
    """Devices with different readings: one is shared with alice, one has none."""
    first, shared, empty = device_create(owner=alice), device_create(owner=bob), device_create(owner=alice)
    device_share(shared, alice)
    store(stack, [*readings_each_second(first, START, 300), *readings_each_second(shared, START + MINUTE_US, 300)])
    return [shared, empty, first]


@pytest.mark.parametrize(
    ("resolution", "more"),
    [("1m", {"agg": "avg,min,max,count"}), ("1m", {"fill": "none"}), ("raw", {"agg": "min,max"}), ("auto", {}),
     ("1h", {"tz": "Asia/Kathmandu", "fill": "previous"})],
)  # fmt: skip
def test_each_device_gets_the_same_result_as_alone(
    alice: Person, three: list[str], resolution: str, more: dict[str, str]
) -> None:
    asked = {"start": iso_from_us(START), "end": iso_from_us(START + 10 * MINUTE_US), "resolution": resolution, **more}
    body = ask(alice, devices=three, **asked)
    assert [device["device_id"] for device in body["devices"]] == three
    for device in body["devices"]:
        alone = one(alice, device["device_id"], **asked)
        assert device == {key: alone[key] for key in OWN}
        assert {key: value for key, value in body.items() if key != "devices"} == {
            key: value for key, value in alone.items() if key not in OWN
        }


def test_lists_and_numbers_are_accepted_as_json(alice: Person, three: list[str]) -> None:
    body = ask(
        alice, devices=three, start=START // 1000, end=(START + MINUTE_US) // 1000, metrics=["solar_power"],
        agg=["min", "max"], max_points=6, tz=None,
    )  # fmt: skip
    assert body["resolution"] == "10s"
    assert list(body["devices"][0]["metrics"]) == ["solar_power"]
    assert set(body["devices"][0]["metrics"]["solar_power"]) == {"unit", "min", "max"}


def test_a_repeated_device_is_returned_once(alice: Person, device: str) -> None:
    assert len(ask(alice, devices=[device, device])["devices"]) == 1


def test_a_zone_shared_by_all_devices_is_the_default(alice: Person) -> None:
    berlin = [device_create(owner=alice, timezone="Europe/Berlin") for _ in range(2)]
    assert ask(alice, devices=berlin)["tz"] == "Europe/Berlin"
    assert ask(alice, devices=[*berlin, device_create(owner=alice)])["tz"] == "UTC"
    assert ask(alice, devices=berlin, tz="Asia/Kathmandu")["tz"] == "Asia/Kathmandu"


def test_auto_uses_buckets_for_all_if_one_has_too_many_readings(stack: Stack, alice: Person, three: list[str]) -> None:
    body = ask(alice, devices=three, start=iso_from_us(START), range=None, end=iso_from_us(START + 10 * MINUTE_US),
               max_points=600)  # fmt: skip
    assert body["resolution"] == "raw"
    with stack.admin() as connection:
        connection.execute(
            "INSERT INTO energy_data (time, device_id) SELECT time + interval '0.5 s', device_id FROM energy_data"
            " WHERE device_id = %s",
            [three[0]],
        )
        connection.execute(
            "INSERT INTO energy_data (time, device_id) SELECT time + interval '0.2 s', device_id FROM energy_data"
            " WHERE device_id = %s",
            [three[0]],
        )
    body = ask(alice, devices=three, start=iso_from_us(START), end=iso_from_us(START + 10 * MINUTE_US), max_points=600)
    assert body["resolution"] == "1s"


def test_one_foreign_device_refuses_the_request(alice: Person, bob: Person, device: str) -> None:
    foreign = device_create(owner=bob)
    answers = [
        alice.http.post(ROUTE, json={"devices": [device, other]}) for other in (foreign, "no-such-device", "no such!")
    ]
    refused(answers[0], 403, "device")
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'"ems"', b"null", b"{", b"\xff", b"[" * 5000])
def test_a_body_that_is_not_an_object_is_refused(alice: Person, body: bytes) -> None:
    refused(alice.http.post(ROUTE, content=body), 400, "body")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("devices", None), ("devices", []), ("devices", "ems_001"), ("devices", [1]), ("devices", {"a": 1}),
        ("range", 24), ("range", "soon"), ("start", True), ("start", 1.5), ("end", ["2026-01-01"]), ("start", "never"),
        ("metrics", []), ("metrics", [1]), ("metrics", {}), ("metrics", ["nonsense"]), ("agg", "median"), ("agg", 1),
        ("resolution", 60), ("resolution", "7m"), ("max_points", "10"), ("max_points", True), ("max_points", 0),
        ("max_points", 1.0), ("max_points", -1), ("max_points", 5001), ("max_points", 10**15), ("tz", 1),
        ("tz", "Mars"), ("fill", "zero"), ("fill", 0), ("format", "csv"), ("nonsense", 1),
    ],
)  # fmt: skip
def test_an_invalid_field_is_named(alice: Person, device: str, field: str, value: object) -> None:
    refused(alice.http.post(ROUTE, json={"devices": [device], field: value}), 400, field)


def test_more_points_of_one_device_than_the_limit(alice: Person, device: str) -> None:
    refused(alice.http.post(ROUTE, json={"devices": [device], "range": "30d", "resolution": "1s"}), 413, "resolution")


def test_other_errors(alice: Person, anonymous: httpx.Client, device: str) -> None:
    answer = alice.http.get(ROUTE)
    refused(answer, 405, "POST")
    assert answer.headers["allow"] == "POST"
    refused(anonymous.post(ROUTE, json={"devices": [device]}), 401, "Sign in")
    refused(alice.http.post(ROUTE, content=b" " * (1024 * 1024 + 1)), 413, "body")


@pytest.fixture(scope="module")
def limited(stack: Stack, logs: Path) -> Iterator[str]:
    """A server that allows three devices and 30 points per request."""
    env = {**stack.env, "HISTORY_MAX_DEVICES": "3", "HISTORY_MAX_QUERY_POINTS": "30"}
    with server_process(env, logs / "query-limits.log") as server:
        yield server.url


def test_devices_and_points_have_limits(alice: Person, three: list[str], limited: str) -> None:
    with httpx.Client(base_url=limited, headers={"Authorization": f"Bearer {alice.token}"}, timeout=30) as client:
        window = {"start": iso_from_us(START), "end": iso_from_us(START + 10 * MINUTE_US)}

        def answer(**body: Any) -> httpx.Response:
            return client.post(ROUTE, json={"devices": three, **window, **body})

        refused(answer(devices=[*three, "one-more"]), 413, "devices")
        refused(answer(resolution="30s"), 413, "devices")
        refused(answer(resolution="raw"), 413, "devices")
        assert answer(resolution="1m").status_code == 200
        body = answer().json()
        assert (body["resolution"], body["devices"][0]["points"]) == ("1m", 10)


def test_without_the_database_the_response_is_503(
    stack: Stack, logs: Path, alice: Person, charlie: Person, device: str
) -> None:
    proxy, url = stack.telemetry_proxy()
    with server_process({**stack.env, "TELEMETRY_URL": url}, logs / "query-proxied.log") as server:
        proxy.cut()

        def answer(person: Person) -> httpx.Response:
            headers = {"Authorization": f"Bearer {person.token}"}
            return httpx.post(server.url + ROUTE, json={"devices": [device]}, headers=headers, timeout=30)

        refused(answer(charlie), 403, "device")
        refused(answer(alice), 503, "database")
        assert int(answer(alice).headers["retry-after"]) > 0
        proxy.restore()


def test_a_response_up_to_the_present_is_marked_as_partial(stack: Stack, alice: Person, device: str) -> None:
    now = now_us()
    store(stack, readings_each_second(device, now - 10 * SECOND_US, 10))
    body = ask(alice, devices=[device], range="1h")
    assert body["partial_last"] is True
    assert body["devices"][0]["cursor"] == iso_from_us(now - SECOND_US)
