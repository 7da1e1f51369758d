"""GET /api/devices and GET /api/devices/{device_id}."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from devices_app.models import Device, Grant
from telemetry.catalogue import catalogue_load
from telemetry.names import RING_FIELD, ring_key
from telemetry.reading import Reading, reading_encode
from telemetry.redis import redis_client_sync
from telemetry.times import us_from_datetime
from testing.cast import Person, device_create, device_share
from tests.auth_app.answers import assert_problem
from tests.devices_app.answers import assert_forbidden_alike

URL = "/api/devices"
CATALOGUE = catalogue_load()


def put_in_ring(device_id: str, moment: datetime) -> None:
    payload = reading_encode(Reading(device_id, us_from_datetime(moment), (None,) * len(CATALOGUE.names)), CATALOGUE)
    redis_client_sync(settings.REDIS_URL).xadd(ring_key(device_id), {RING_FIELD: payload})


def test_the_owner_sees_the_device(alice: Person, device: str) -> None:
    expected = {
        "device_id": device,
        "name": "",
        "role": "owner",
        "online": False,
        "last_seen": None,
        "timezone": "UTC",
        "owner": alice.username,
        "expires_at": None,
    }
    assert alice.http.get(URL).json() == [expected]
    assert alice.http.get(f"{URL}/{device}").json() == expected


def test_a_guest_sees_the_device_as_a_viewer(alice: Person, bob: Person, device: str) -> None:
    grant = device_share(device, bob)
    grant.expires_at = timezone.now().replace(microsecond=0) + timedelta(hours=1)
    grant.save()
    seen = bob.http.get(f"{URL}/{device}").json()
    assert (seen["role"], seen["owner"]) == ("viewer", alice.username)
    assert seen["expires_at"] == grant.expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert bob.http.get(URL).json() == [seen]


def test_a_stranger_sees_nothing(charlie: Person, device: str) -> None:
    assert charlie.http.get(URL).json() == []


@pytest.mark.parametrize("unknown", ["ems_nowhere", "a b", "ä", "x" * 65, "a%00b", "%ED%A0%80", ".x"])
def test_a_foreign_and_an_unknown_device_get_the_same_response(charlie: Person, device: str, unknown: str) -> None:
    assert_forbidden_alike(charlie.http.get(f"{URL}/{device}"), charlie.http.get(f"{URL}/{unknown}"))


def test_an_expired_grant_is_ignored(bob: Person, device: str) -> None:
    device_share(device, bob)
    Grant.objects.filter(user=bob.user).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert bob.http.get(URL).json() == []
    assert_problem(bob.http.get(f"{URL}/{device}"), 403)


def test_a_device_without_an_owner_is_visible_to_no_user(bob: Person, device: str) -> None:
    device_share(device, bob)
    Device.objects.filter(device_id=device).update(owner=None)
    assert bob.http.get(URL).json() == []


def test_devices_are_listed_once_and_in_order(alice: Person) -> None:
    devices = sorted(device_create(owner=alice) for _ in range(3))
    device_share(devices[0], alice)
    assert [(seen["device_id"], seen["role"]) for seen in alice.http.get(URL).json()] == [
        (device_id, "owner") for device_id in devices
    ]


def test_a_device_with_a_recent_reading_is_online(alice: Person, device: str) -> None:
    moment = datetime.now(UTC)
    put_in_ring(device, moment)
    seen = alice.http.get(f"{URL}/{device}").json()
    assert seen["online"] is True
    assert seen["last_seen"] == moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def test_a_silent_device_is_offline(alice: Person, device: str) -> None:
    put_in_ring(device, datetime.now(UTC) - timedelta(seconds=settings.DEVICE_ONLINE_S + 1))
    seen = alice.http.get(f"{URL}/{device}").json()
    assert seen["online"] is False
    assert seen["last_seen"] is not None


def test_anonymous_requests_are_refused(anonymous: httpx.Client, device: str) -> None:
    assert_problem(anonymous.get(URL), 401)
    assert_problem(anonymous.get(f"{URL}/{device}"), 401)


def test_another_method_is_refused(alice: Person, device: str) -> None:
    for url, allow in ((URL, "GET, HEAD"), (f"{URL}/{device}", "GET, PATCH, DELETE, HEAD")):
        answer = alice.http.post(url)
        assert_problem(answer, 405)
        assert answer.headers["allow"] == allow
