"""GET /api/history/{device_id} on the real server and database."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

import httpx
import pytest

from core.catalogue import CATALOGUE
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from testing.cast import Person, device_share
from testing.stack import Stack
from testing.telemetry import now_us, reading_at, readings_each_second, store

MINUTE_US = 60 * SECOND_US


def us(text: str) -> int:
    return us_from_datetime(datetime.fromisoformat(text))


def ask(person: Person, device_id: str, **parameters: Any) -> dict[str, Any]:
    answer = person.http.get(f"/api/history/{device_id}", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: httpx.Response, status: int, parameter: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"status", "title", "detail", "code"}
    assert body["status"] == status
    assert parameter in body["detail"]


@pytest.mark.parametrize(
    ("asked", "resolution", "seconds", "points", "source"),
    [
        ("10m", "raw", None, 600, "energy_data"),
        ("24h", "5m", 300, 288, "energy_data_5m"),
        ("30d", "1h", 3600, 720, "energy_data_1h"),
    ],
)
def test_the_three_views(
    stack: Stack, alice: Person, device: str, asked: str, resolution: str, seconds: int | None, points: int, source: str
) -> None:
    end = us("2026-06-15T12:00:00Z")
    store(stack, readings_each_second(device, end - 600 * SECOND_US, 600))
    body = ask(alice, device, range=asked, end=iso_from_us(end))
    assert (body["resolution"], body["resolution_seconds"], body["points"]) == (resolution, seconds, points)
    assert len(body["time"]) == len(body["count"]) == points
    assert sum(body["count"]) == 600
    assert body["source"] == source
    assert body["cursor"] == iso_from_us(end - SECOND_US)
    assert list(body["metrics"]) == list(CATALOGUE.names)


def test_a_bucket_has_average_minimum_and_maximum(stack: Stack, alice: Person, device: str) -> None:
    start = us("2026-06-15T12:00:00Z")
    store(
        stack, [reading_at(device, start + offset * SECOND_US, value) for offset, value in [(0, 1), (7, 5), (59, -3)]]
    )
    body = ask(
        alice, device, start=iso_from_us(start), end=iso_from_us(start + MINUTE_US), resolution="1m",
        agg="avg,min,max,count", metrics="battery_voltage",
    )  # fmt: skip
    assert body["time"] == [start // 1000]
    assert body["count"] == [3]
    assert body["metrics"] == {
        "battery_voltage": {"unit": "V", "avg": [1.0], "min": [-3.0], "max": [5.0], "count": [3]}
    }
    assert body["partial_last"] is False


def test_the_window_is_widened_to_whole_buckets(stack: Stack, alice: Person, device: str) -> None:
    store(stack, readings_each_second(device, us("2026-06-15T12:00:00Z"), 600))
    body = ask(alice, device, start="2026-06-15T12:01:30Z", end="2026-06-15T12:02:30Z", resolution="1m")
    assert (body["start"], body["end"]) == ("2026-06-15T12:01:00.000Z", "2026-06-15T12:03:00.000Z")
    assert body["count"] == [60, 60]


def test_fill_determines_the_values_of_empty_buckets(stack: Stack, alice: Person, device: str) -> None:
    start = us("2026-06-15T12:00:00Z")
    store(stack, [reading_at(device, start, 1.0), reading_at(device, start + 2 * MINUTE_US, 2.0)])
    asked = {"start": iso_from_us(start), "range": None, "end": iso_from_us(start + 4 * MINUTE_US)}
    asked = {key: value for key, value in asked.items() if value}

    def answer(fill: str) -> tuple[list[int], list[float | None]]:
        body = ask(alice, device, **asked, resolution="1m", metrics="battery_voltage", fill=fill)
        return body["count"], body["metrics"]["battery_voltage"]["avg"]

    assert answer("null") == ([1, 0, 1, 0], [1.0, None, 2.0, None])
    assert answer("none") == ([1, 1], [1.0, 2.0])
    assert answer("previous") == ([1, 0, 1, 0], [1.0, 1.0, 2.0, 2.0])


def test_days_follow_the_wall_clock_of_the_zone(stack: Stack, alice: Person, device: str) -> None:
    """25 October 2026 has 25 hours in Berlin: 22:00Z to 23:00Z the next day."""
    start = us("2026-10-24T22:00:00Z")
    store(stack, [reading_at(device, start + hour * 3600 * SECOND_US) for hour in range(49)])
    body = ask(alice, device, start="2026-10-25", end="2026-10-27", tz="Europe/Berlin", resolution="1d")
    assert body["count"] == [25, 24]
    assert body["time"] == [start // 1000, us("2026-10-25T23:00:00Z") // 1000]
    hourly = ask(alice, device, start="2026-10-25", end="2026-10-26", tz="Europe/Berlin", resolution="1h")
    assert hourly["count"] == [1] * 25
    three = ask(alice, device, start="2026-10-25", end="2026-10-26", tz="Europe/Berlin", resolution="3h")
    assert three["count"] == [4, 3, 3, 3, 3, 3, 3, 3]


def test_missing_values_are_null_and_do_not_count(stack: Stack, alice: Person, device: str) -> None:
    start = us("2026-06-15T12:00:00Z")
    with stack.admin() as connection:
        for offset, value in [(0, 4.0), (1, None)]:
            connection.execute(
                "INSERT INTO energy_data (time, device_id, solar_power) VALUES (%s, %s, %s)",
                [iso_from_us(start + offset * SECOND_US), device, value],
            )
    asked = {"start": iso_from_us(start), "end": iso_from_us(start + MINUTE_US)}
    body = ask(alice, device, **asked, resolution="1m", agg="avg,count", metrics="solar_power,load_power")
    assert body["count"] == [2]
    assert body["metrics"]["solar_power"] == {"unit": "W", "avg": [4.0], "count": [1]}
    assert body["metrics"]["load_power"] == {"unit": "W", "avg": [None], "count": [0]}
    raw = ask(alice, device, **asked, resolution="raw", metrics="solar_power")
    assert raw["metrics"]["solar_power"]["avg"] == [4.0, None]


def test_more_readings_than_points_in_a_raw_window_are_bucketed(stack: Stack, alice: Person, device: str) -> None:
    start = us("2026-06-15T12:00:00Z")
    store(stack, [reading_at(device, start + tenth * SECOND_US // 10) for tenth in range(1000)])
    body = ask(alice, device, start=iso_from_us(start), end=iso_from_us(start + 600 * SECOND_US))
    assert body["resolution"] == "1s"
    assert body["count"][:100] == [10] * 100


def test_an_empty_device_has_no_cursor(alice: Person, device: str) -> None:
    body = ask(alice, device, range="1h")
    assert body["cursor"] is None
    assert set(body["count"]) == {0}
    assert body["partial_last"] is True


def test_a_reading_ahead_of_the_clock_is_returned_or_after_the_cursor(stack: Stack, alice: Person, device: str) -> None:
    now = now_us()
    store(stack, [reading_at(device, now - SECOND_US), reading_at(device, now + 60 * SECOND_US)])
    body = ask(alice, device, range="10m")
    assert body["time"] == [(now - SECOND_US) // 1000]
    assert body["cursor"] == iso_from_us(now - SECOND_US)


def test_csv_has_one_line_per_bucket(stack: Stack, alice: Person, device: str) -> None:
    start = us("2026-06-15T12:00:00Z")
    store(stack, readings_each_second(device, start, 120))
    answer = alice.http.get(
        f"/api/history/{device}",
        params={"start": iso_from_us(start), "end": iso_from_us(start + 120 * SECOND_US), "resolution": "1m",
                "metrics": "solar_power", "format": "csv", "agg": "min,max"},
    )  # fmt: skip
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["time", "count", "solar_power_min", "solar_power_max"]
    assert rows[1] == ["2026-06-15T12:00:00.000Z", "60", "7.0", "66.0"]


def test_a_guest_can_read_a_shared_device(stack: Stack, alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    assert ask(bob, device, range="10m")["device_id"] == device


def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, device: str) -> None:
    foreign = charlie.http.get(f"/api/history/{device}")
    unknown = charlie.http.get("/api/history/no-such-device")
    malformed = charlie.http.get("/api/history/no%20such%20device!")
    assert foreign.status_code == 403
    assert foreign.content == unknown.content == malformed.content
    refused(foreign, 403, "device")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wst_nonsense", "Basic YTpi", "wst_nonsense"])
def test_missing_and_invalid_credentials_get_401(anonymous: httpx.Client, device: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = anonymous.get(f"/api/history/{device}", headers=headers)
    refused(answer, 401, "Sign in")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("range", "soon"),
        ("range", "0h"),
        ("start", "yesterday"),
        ("end", "2026-99-01"),
        ("metrics", "solar_power,nonsense"),
        ("metrics", ""),
        ("agg", "median"),
        ("resolution", "7m"),
        ("max_points", "0"),
        ("max_points", "5001"),
        ("max_points", "1e3"),
        ("max_points", "٣"),
        ("tz", "Mars/Base"),
        ("fill", "zero"),
        ("format", "xml"),
        ("nonsense", "1"),
    ],
)
def test_an_invalid_parameter_is_named(alice: Person, device: str, parameter: str, value: str) -> None:
    refused(alice.http.get(f"/api/history/{device}", params={parameter: value}), 400, parameter)


def test_contradicting_parameters_are_refused(alice: Person, device: str) -> None:
    refused(alice.http.get(f"/api/history/{device}?range=1h&start=2026-01-01"), 400, "range")
    refused(alice.http.get(f"/api/history/{device}?start=2026-02-01&end=2026-01-01"), 400, "start")


@pytest.mark.parametrize(("asked", "resolution"), [("30d", "1s"), ("1y", "30s"), ("20y", "15m")])
def test_more_points_than_the_limit_names_the_export(alice: Person, device: str, asked: str, resolution: str) -> None:
    refused(alice.http.get(f"/api/history/{device}", params={"range": asked, "resolution": resolution}), 413, "export")


def test_more_raw_readings_than_the_limit_names_the_export(stack: Stack, alice: Person, device: str) -> None:
    start = us("2026-06-15T12:00:00Z")
    store(stack, readings_each_second(device, start, 10_001))
    parameters = {"start": iso_from_us(start), "end": iso_from_us(start + 10_001 * SECOND_US), "resolution": "raw"}
    refused(alice.http.get(f"/api/history/{device}", params=parameters), 413, "export")


def test_post_is_refused(alice: Person, device: str) -> None:
    answer = alice.http.post(f"/api/history/{device}")
    refused(answer, 405, "GET")
    assert "GET" in answer.headers["allow"]


def test_an_unknown_route_is_a_problem_document(alice: Person) -> None:
    refused(alice.http.get("/api/nonsense"), 404, "route")


def test_the_catalogue_is_listed(alice: Person) -> None:
    listed = alice.http.get("/api/metrics").json()
    assert [metric["name"] for metric in listed] == list(CATALOGUE.names)
    assert listed[2] == {
        "name": "battery_power", "unit": "W", "kind": "power", "sign": "+ charging, − discharging",
        "description": "Power into the battery.",
    }  # fmt: skip
