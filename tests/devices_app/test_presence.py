"""Last reading and online state of devices."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import pytest
from django.conf import settings

from devices_app import presence
from telemetry.names import RING_FIELD, ring_key
from telemetry.redis import redis_client_sync
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from testing.stack import Stack

pytestmark = pytest.mark.usefixtures("stack")

TIME = "2026-11-23T10:00:00.000Z"
MOMENT = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def ring() -> Iterator[str]:
    """A device id whose ring is deleted afterwards."""
    device_id = f"ring_{secrets.token_hex(4)}"
    yield device_id
    redis_client_sync(settings.REDIS_URL).delete(ring_key(device_id))


def seen(device_ids: list[str]) -> dict[str, datetime | None]:
    return {device_id: found.last_seen for device_id, found in presence.presence_of(device_ids).items()}


def put(device_id: str, payload: str) -> None:
    redis_client_sync(settings.REDIS_URL).xadd(ring_key(device_id), {RING_FIELD: payload})


def test_the_newest_entry_is_the_last_seen_time(ring: str) -> None:
    for moment in ("2026-11-23T09:59:59.000Z", TIME):
        put(ring, f'{{"device_id": "{ring}", "time": "{moment}"}}')
    assert seen([ring, "ems_nowhere"]) == {ring: MOMENT, "ems_nowhere": None}


@pytest.mark.parametrize("payload", ["", "{", "[]", '{"device_id": "a"}', '{"device_id": "a", "time": "soon"}'])
def test_invalid_entries_are_ignored(ring: str, payload: str) -> None:
    put(ring, payload)
    assert seen([ring]) == {ring: None}


def test_a_key_of_another_type_does_not_affect_other_devices(ring: str) -> None:
    other = f"other_{secrets.token_hex(4)}"
    redis_client_sync(settings.REDIS_URL).set(ring_key(other), "text", ex=60)
    put(ring, f'{{"device_id": "{ring}", "time": "{TIME}"}}')
    assert seen([other, ring]) == {other: None, ring: MOMENT}


def test_without_redis_the_last_seen_time_is_unknown(ring: str, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, url = stack.redis_proxy()
    proxy.cut()
    monkeypatch.setattr(settings, "REDIS_URL", url)
    assert seen([ring]) == {ring: None}


def test_other_sources_are_queried_for_offline_devices(ring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ring, f'{{"device_id": "{ring}", "time": "{TIME}"}}')
    asked: list[str] = []

    def source(device_ids: Collection[str]) -> dict[str, list[int]]:
        asked.extend(device_ids)
        return {"quiet": [us_from_datetime(MOMENT)]}

    monkeypatch.setattr(presence, "_sources", [presence.ring_times])
    presence.add_source(source)
    assert seen([ring, "quiet"]) == {ring: MOMENT, "quiet": MOMENT}
    assert asked == [ring, "quiet"]  # neither device is online


def test_an_empty_list_returns_an_empty_result() -> None:
    assert seen([]) == {}


def put_ago(device_id: str, *ago_s: float) -> None:
    now = time.time_ns() // 1000
    for seconds in ago_s:
        put(device_id, f'{{"device_id": "{device_id}", "time": "{iso_from_us(now - int(seconds * SECOND_US))}"}}')


@pytest.mark.parametrize(
    ("ago_s", "online"),
    [
        ([130, 70, 10], True),
        ([220, 160, 100], True),  # once per minute: a reading holds for 150 s
        ([280, 220, 160], False),
        ([3600, 2700, 1800], True),  # every quarter of an hour: a reading holds for 2,250 s
        ([4300, 3400, 2500], False),
        ([42, 41, 40], False),  # once per second: DEVICE_ONLINE_S
        ([3, 2, 1, -280], True),
        ([-280], False),
    ],
)
def test_a_device_is_online_while_its_newest_reading_holds(ring: str, ago_s: list[float], online: bool) -> None:
    put_ago(ring, *ago_s)
    assert presence.presence_of([ring])[ring].is_online is online


def test_a_reading_ahead_of_the_clock_is_not_the_newest(ring: str) -> None:
    put_ago(ring, 2, -280, 1)
    found = presence.presence_of([ring])[ring].last_seen
    assert found is not None
    assert 0 <= (datetime.now(UTC) - found).total_seconds() < 60
