"""The last seen time of a device without a ring comes from the stored readings."""

from __future__ import annotations

from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store


def shown(person: Person, device: str) -> tuple[str | None, bool]:
    listed = {item["device_id"]: item for item in person.http.get("/api/devices").json()}
    return listed[device]["last_seen"], listed[device]["online"]


def test_last_seen_comes_from_the_database_without_a_ring(stack: Stack, alice: Person, device: str) -> None:
    assert shown(alice, device) == (None, False)
    readings = readings_each_second(device, now_us() - 3600 * SECOND_US, 5)
    store(stack, readings)
    assert shown(alice, device) == (iso_from_us(readings[-1].us), False)
    publish(stack, readings_each_second(device, now_us(), 1))
    assert shown(alice, device)[1] is True
