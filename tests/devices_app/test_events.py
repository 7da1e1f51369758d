"""Every change of a device or a grant is announced, from every place that makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import orjson
import pytest
from django.conf import settings

from auth_app.events import CHANNEL
from auth_app.services import user_delete
from devices_app.models import Device
from devices_app.services import device_release, device_update, share_remove, share_set
from devices_app.transfers import transfer_accept, transfer_offer
from telemetry.redis import redis_client_sync
from testing.cast import Person, device_share
from testing.process import Process
from testing.waiting import wait_until
from tests.auth_app.answers import browser, csrf_field


@pytest.fixture
def announced(device: str) -> Iterator[Callable[[], bool]]:
    """A function that waits until `device` is announced again."""
    with redis_client_sync(settings.REDIS_URL).pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(CHANNEL)
        wait_until(lambda: pubsub.get_message(timeout=1), "subscribed")

        def named() -> bool:
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
            return bool(message) and device in orjson.loads(message["data"])["devices"]

        yield lambda: wait_until(named, f"{device} announced")


@pytest.fixture
def admin(server: Process, charlie: Person) -> Iterator[httpx.Client]:
    """A browser with the session of charlie, a superuser."""
    charlie.user.is_staff = charlie.user.is_superuser = True
    charlie.user.save()
    with browser(server, charlie) as client:
        client.get("/admin/")
        yield client


def test_changes_of_the_owner_are_announced(
    announced: Callable[[], bool], alice: Person, bob: Person, device: str
) -> None:
    device_update(user=alice.user, device_id=device, name="x")
    assert announced()
    share_set(user=alice.user, address="", device_id=device, username=bob.username, role="viewer", expires_at=None)
    assert announced()
    share_remove(user=alice.user, address="", device_id=device, username=bob.username)
    assert announced()
    offer = transfer_offer(user=alice.user, address="", device_id=device, username=bob.username, with_history=False)
    transfer_accept(user=bob.user, address="", transfer_id=offer.id)
    assert announced()
    device_release(user=bob.user, address="", device_id=device)
    assert announced()


def test_deleting_the_owner_is_announced(announced: Callable[[], bool], alice: Person) -> None:
    user_delete(user=alice.user)
    assert announced()


def test_changes_in_the_admin_are_announced(
    announced: Callable[[], bool], admin: httpx.Client, alice: Person, bob: Person, device: str
) -> None:
    row = Device.objects.get(device_id=device)
    page = f"/admin/devices_app/device/{row.pk}/change/"
    assert admin.get(page).status_code == 200
    form = {"name": "x", "timezone": "Mars/Olympus", "owner": str(alice.user.pk), **csrf_field(admin)}
    assert "not an IANA name" in admin.post(page, data=form).text
    assert admin.post(page, data={**form, "timezone": "UTC"}).status_code == 302
    assert announced()
    grant = {"device": str(row.pk), "user": str(bob.user.pk), "role": "viewer", "expires_at_0": "", "expires_at_1": ""}
    assert admin.post("/admin/devices_app/grant/add/", data=grant | csrf_field(admin)).status_code == 302
    assert announced()
    remove(admin, "grant", row.grants.get().pk)
    assert announced()
    device_share(device, bob)
    remove(admin, "device", row.pk)
    assert announced()
    assert not Device.objects.filter(pk=row.pk).exists()


def remove(admin: httpx.Client, kind: str, pk: int) -> None:
    form = {"action": "delete_selected", "_selected_action": str(pk), "post": "yes", **csrf_field(admin)}
    assert admin.post(f"/admin/devices_app/{kind}/", data=form).status_code == 302
