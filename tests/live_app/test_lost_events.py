"""Access ends on sockets and over HTTP within seconds, even if the server is cut off from Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from django.utils import timezone

from auth_app.services import password_change, user_delete, user_disable
from auth_app.tokens.access_tokens import tokens_revoke
from devices_app.services import device_release, share_remove, share_set
from live_app.access.checks import PORTION_DEVICES
from testing.cast import Person, device_create, device_share
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack

SOON_S = 5.0
SLACK_S = 10.0  # for a machine that is busy with other things


@pytest.fixture(scope="module")
def deaf_server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server whose connections to Redis are cut after it has started."""
    parts = urlsplit(stack.env["REDIS_URL"])
    proxy = TcpProxy((parts.hostname or "127.0.0.1", parts.port or 6379))
    address = f"{parts.netloc.rpartition(':')[0]}:{proxy.port}"
    env = {**stack.env, "REDIS_URL": parts._replace(netloc=address).geturl()}
    try:
        with server_process(env, tmp_path_factory.mktemp("deaf") / "server.log") as server:
            proxy.cut()
            yield server
    finally:
        proxy.close()


def watching(server: Process, person: Person, *devices: str) -> LiveSocket:
    live = LiveSocket(server.url, person=person)
    live.subscribe(*devices)
    live.send(type="ping", id="asked")
    live.until_type("pong")
    return live


def get(server: Process, person: Person, path: str) -> int:
    return httpx.get(server.url + path, headers={"Authorization": f"Bearer {person.token}"}, timeout=20).status_code


def refused_within(server: Process, person: Person, path: str, status: int, deadline: float) -> None:
    while (answered := get(server, person, path)) != status:
        assert time.monotonic() < deadline, answered
        time.sleep(0.1)


def unshare(alice: Person, bob: Person, device: str) -> None:
    share_remove(user=alice.user, address="", device_id=device, username=bob.username)


def shorten_the_share(alice: Person, bob: Person, device: str) -> None:
    soon = timezone.now() + timedelta(seconds=3)
    share_set(user=alice.user, address="", device_id=device, username=bob.username, role="viewer", expires_at=soon)


def release(alice: Person, bob: Person, device: str) -> None:
    device_release(user=alice.user, address="", device_id=device)


def delete_the_owner(alice: Person, bob: Person, device: str) -> None:
    user_delete(user=alice.user)


@pytest.mark.parametrize("change", [unshare, shorten_the_share, release, delete_the_owner])
def test_a_revoked_device_is_noticed_without_redis(
    deaf_server: Process, alice: Person, bob: Person, device: str, change: Callable[[Person, Person, str], None]
) -> None:
    device_share(device, bob)
    assert get(deaf_server, bob, f"/api/history/{device}") == 200
    with watching(deaf_server, bob, device) as live:
        deadline = time.monotonic() + SOON_S + SLACK_S
        change(alice, bob, device)
        refused_within(deaf_server, bob, f"/api/history/{device}", 403, deadline)
        assert live.until(lambda frame: frame["type"] == "revoked", deadline - time.monotonic())["device_id"] == device


def disable(person: Person) -> None:
    user_disable(user=person.user)


def revoke(person: Person) -> None:
    tokens_revoke(person.user.access_tokens.all())


def change_the_password(person: Person) -> None:
    new = "another-long-secret-42"
    password_change(user=person.user, current_password=person.password, new_password=new, keep=0, address="127.0.0.1")


@pytest.mark.parametrize("change", [disable, revoke, change_the_password])
def test_ended_credentials_are_noticed_without_redis(
    deaf_server: Process, alice: Person, device: str, change: Callable[[Person], None]
) -> None:
    assert get(deaf_server, alice, "/api/auth/me") == 200
    with watching(deaf_server, alice, device) as live:
        deadline = time.monotonic() + SOON_S + SLACK_S
        change(alice)
        refused_within(deaf_server, alice, "/api/auth/me", 401, deadline)
        assert live.close_code(deadline - time.monotonic()) == 4401


def test_only_revoked_devices_are_removed(deaf_server: Process, alice: Person, bob: Person) -> None:
    """With more devices than one query checks."""
    devices = [device_create(owner=alice) for _ in range(PORTION_DEVICES // 2 + 10)]
    for device_id in devices:
        device_share(device_id, bob)
    with (
        watching(deaf_server, bob, *devices) as live,
        watching(deaf_server, bob, *devices) as again,
        watching(deaf_server, alice, *devices) as owner,
    ):
        unshare(alice, bob, devices[7])
        for socket in (live, again):
            assert socket.until_type("revoked")["device_id"] == devices[7]
            socket.send(type="ping", id="after")
            socket.until(lambda frame: frame["type"] == "pong" and frame["id"] == "after")
            assert sum(frame["type"] == "revoked" for frame in socket.frames) == 1
        owner.send(type="ping", id="after")
        owner.until(lambda frame: frame["type"] == "pong" and frame["id"] == "after")
        assert all(frame["type"] != "revoked" for frame in owner.frames)
