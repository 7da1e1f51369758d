"""When a device was last heard of."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import pytest
from django.conf import settings

from devices_app import presence
from telemetry.names import RING_FIELD, ring_key
from telemetry.redis import redis_client_sync
from testing.stack import Stack

pytestmark = pytest.mark.usefixtures("stack")

TIME = "2026-11-23T10:00:00.000Z"
MOMENT = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def ring() -> Iterator[str]:
    """A device id whose ring is taken away afterwards."""
    device_id = f"ring_{secrets.token_hex(4)}"
    yield device_id
    redis_client_sync(settings.REDIS_URL).delete(ring_key(device_id))


def put(device_id: str, payload: str) -> None:
    redis_client_sync(settings.REDIS_URL).xadd(ring_key(device_id), {RING_FIELD: payload})


def test_the_newest_entry_counts(ring: str) -> None:
    for time in ("2026-11-23T09:59:59.000Z", TIME):
        put(ring, f'{{"device_id": "{ring}", "time": "{time}"}}')
    assert presence.last_seen([ring, "ems_nowhere"]) == {ring: MOMENT, "ems_nowhere": None}


@pytest.mark.parametrize("payload", ["", "{", "[]", '{"device_id": "a"}', '{"device_id": "a", "time": "soon"}'])
def test_an_entry_that_cannot_be_read_is_nothing(ring: str, payload: str) -> None:
    put(ring, payload)
    assert presence.last_seen([ring]) == {ring: None}


def test_a_key_of_another_kind_does_not_spoil_the_others(ring: str) -> None:
    other = f"other_{secrets.token_hex(4)}"
    redis_client_sync(settings.REDIS_URL).set(ring_key(other), "text", ex=60)
    put(ring, f'{{"device_id": "{ring}", "time": "{TIME}"}}')
    assert presence.last_seen([other, ring]) == {other: None, ring: MOMENT}


def test_without_redis_nothing_is_known(ring: str, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, url = stack.redis_proxy()
    proxy.cut()
    monkeypatch.setattr(settings, "REDIS_URL", url)
    assert presence.last_seen([ring]) == {ring: None}


def test_another_source_is_asked_about_the_rest(ring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ring, f'{{"device_id": "{ring}", "time": "{TIME}"}}')
    asked: list[str] = []

    def source(device_ids: Collection[str]) -> dict[str, datetime | None]:
        asked.extend(device_ids)
        return {"quiet": MOMENT}

    monkeypatch.setattr(presence, "_sources", [presence.ring_last_seen])
    presence.add_source(source)
    assert presence.last_seen([ring, "quiet"]) == {ring: MOMENT, "quiet": MOMENT}
    assert asked == ["quiet"]


def test_no_devices_no_questions() -> None:
    assert presence.last_seen([]) == {}
