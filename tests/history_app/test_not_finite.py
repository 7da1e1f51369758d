"""NaN and infinities that a third party stored count as null in every answer."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.rollup import roll_up
from testing.stack import Stack
from testing.telemetry import now_us

VALUES = ("NaN", "Infinity", "-Infinity", "1e300")


@pytest.fixture
def spoiled(stack: Stack, device: str) -> tuple[str, int]:
    """A device with four readings whose grid power is not finite, then one of 100 W; the time of the first (µs)."""
    first = (now_us() - 3_600 * SECOND_US) // (60 * SECOND_US) * 60 * SECOND_US
    with stack.admin() as connection:
        for number, value in enumerate((*VALUES, "100")):
            connection.execute(
                "INSERT INTO energy_data (time, device_id, grid_power, load_power) VALUES (%s, %s, %s, 7)",
                [iso_from_us(first + number * SECOND_US), device, value],
            )
    return device, first


@pytest.mark.parametrize("is_rolled_up", [False, True])
@pytest.mark.parametrize("resolution", ["5s", "1m", "1h"])
def test_a_bucket_ignores_them(
    stack: Stack, alice: Person, spoiled: tuple[str, int], resolution: str, is_rolled_up: bool
) -> None:
    device_id, first = spoiled
    if is_rolled_up:
        roll_up(stack)
    parameters = {
        "start": str(first // 1000), "end": str(first // 1000 + 60_000), "resolution": resolution, "fill": "none",
        "agg": "avg,min,max,count",
    }  # fmt: skip
    body = alice.http.get(f"/api/history/{device_id}", params=parameters).json()
    assert body["count"] == [5]
    power = body["metrics"]["grid_power"]
    assert [power[agg] for agg in ("avg", "min", "max", "count")] == [[100.0], [100.0], [100.0], [1]]


def test_raw_readings_have_null(alice: Person, spoiled: tuple[str, int]) -> None:
    device_id, first = spoiled
    parameters = {"start": str(first // 1000), "end": str(first // 1000 + 60_000), "metrics": "grid_power"}
    answer = alice.http.get(f"/api/history/{device_id}", params={**parameters, "resolution": "raw"})
    assert answer.json()["metrics"]["grid_power"]["avg"] == [None, None, None, None, 100.0]
    lines = alice.http.get(f"/api/history/{device_id}", params={**parameters, "resolution": "raw", "format": "csv"})
    assert [row["grid_power"] for row in csv.DictReader(StringIO(lines.text))] == ["", "", "", "", "100.0"]


def test_the_export_has_an_empty_field_or_null(alice: Person, spoiled: tuple[str, int]) -> None:
    device_id, first = spoiled
    parameters = {"start": str(first // 1000), "end": str(first // 1000 + 60_000), "metrics": "grid_power"}
    route = f"/api/history/{device_id}/export"
    rows = csv.DictReader(StringIO(alice.http.get(route, params=parameters).text))
    assert [row["grid_power"] for row in rows] == ["", "", "", "", "100.0"]
    lines = alice.http.get(route, params={**parameters, "format": "ndjson"}).text.splitlines()
    assert [line.rpartition(":")[2] for line in lines] == ["null}"] * 4 + ["100.0}"]


def test_the_newest_reading_has_null(stack: Stack, alice: Person, device: str) -> None:
    with stack.admin() as connection:
        connection.execute(
            "INSERT INTO energy_data (time, device_id, grid_power) VALUES (now(), %s, 'Infinity')", [device]
        )
    (found,) = alice.http.get("/api/latest", params={"devices": device}).json()
    assert found["values"]["grid_power"] is None
    assert found["online"] is True
