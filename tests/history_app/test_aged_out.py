"""Readings that have aged out of the raw table: the finest tier that covers the window answers, named in `source`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.times import SECOND_US, iso_from_us, us_from_iso
from testing.cast import Person, device_create, person_create
from testing.process import Process
from testing.rollup import roll_up
from testing.stack import Stack
from testing.telemetry import readings_each_second, store

# times without readings of other tests, because chunks are dropped
OLD = us_from_iso("2001-02-03T04:05:00Z")
RECENT = us_from_iso("2002-02-03T04:05:00Z")


@pytest.fixture(scope="module")
def owner(server: Process) -> Iterator[Person]:
    found = person_create(f"owner_{secrets.token_hex(4)}", base_url=server.url)
    yield found
    found.http.close()


@pytest.fixture(scope="module")
def aged(stack: Stack, owner: Person) -> str:
    """A device with an hour in 2001, of which only the tiers remain, and an hour in 2002 with raw readings."""
    device_id = device_create(owner=owner)
    for start in (OLD, RECENT):
        store(stack, readings_each_second(device_id, start, 3_600))
    roll_up(stack)
    with stack.admin() as connection:
        connection.execute("SELECT drop_chunks('energy_data', '2001-12-01'::timestamptz)")
    roll_up(stack)  # raises the floor
    return device_id


def ask(person: Person, device_id: str, start: int, seconds: int, **more: str) -> dict[str, Any]:
    answer = person.http.get(
        f"/api/history/{device_id}",
        params={"start": iso_from_us(start), "end": iso_from_us(start + seconds * SECOND_US), **more},
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("resolution", ["auto", "raw", "1s", "10s", "30s"])
def test_ten_minutes_that_have_aged_out_come_from_the_finest_tier(owner: Person, aged: str, resolution: str) -> None:
    body = ask(owner, aged, OLD, 600, resolution=resolution)
    assert (body["resolution"], body["resolution_seconds"], body["source"]) == ("30s", 30, "energy_data_30s")
    assert body["count"] == [30] * 20
    assert body["metrics"]["battery_voltage"]["avg"] == [14.5 + 30 * part for part in range(20)]
    assert body["cursor"] == iso_from_us(RECENT + 3_599 * SECOND_US)


def test_coarser_resolutions_are_answered_as_requested(owner: Person, aged: str) -> None:
    body = ask(owner, aged, OLD, 3_600, resolution="5m")
    assert (body["resolution"], body["source"], sum(body["count"])) == ("5m", "energy_data_5m", 3_600)


def test_recent_readings_are_raw(owner: Person, aged: str) -> None:
    body = ask(owner, aged, RECENT, 600)
    assert (body["resolution"], body["source"], body["points"]) == ("raw", "energy_data", 600)


def test_a_window_across_the_floor_is_complete(owner: Person, aged: str) -> None:
    body = ask(owner, aged, OLD, 366 * 86_400, resolution="1d")
    assert (body["source"], sum(body["count"])) == ("energy_data_1d", 7_200)


def test_too_many_points_of_the_tier_are_refused(owner: Person, aged: str) -> None:
    answer = owner.http.get(
        f"/api/history/{aged}",
        params={"start": iso_from_us(OLD), "end": iso_from_us(RECENT), "resolution": "raw"},
    )
    assert answer.status_code == 413
