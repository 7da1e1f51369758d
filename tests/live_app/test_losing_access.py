"""Live delivery ends when access ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from auth_app.models import AccessToken
from devices_app.models import Device, Grant
from testing.cast import Person, device_share
from testing.process import Process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at


def subscribed(server: Process, person: Person, device: str) -> LiveSocket:
    live = LiveSocket(server.url, person=person)
    live.subscribe(device)
    live.until_type("subscribed")
    return live


def test_a_removed_share_is_revoked(server: Process, stack: Stack, alice: Person, bob: Person, device: str) -> None:
    device_share(device, bob)
    with subscribed(server, bob, device) as live:
        assert alice.http.delete(f"/api/devices/{device}/shares/{bob.username}").status_code == 204
        assert live.until_type("revoked")["device_id"] == device
        publish(stack, [reading_at(device, now_us())])
        live.send(type="ping", id=1)
        live.until_type("pong")
        assert live.times(device) == []
        assert bob.http.get(f"/api/history/{device}").status_code == 403
        live.subscribe(device, request_id=2)
        assert live.until_type("error")["code"] == "forbidden"


def test_losing_the_device_of_the_url_closes_the_socket(
    server: Process, alice: Person, bob: Person, device: str
) -> None:
    device_share(device, bob)
    with LiveSocket(server.url, person=bob, path=f"/ws/live/{device}") as live:
        live.until_type("subscribed")
        alice.http.delete(f"/api/devices/{device}/shares/{bob.username}")
        assert live.close_code() == 4403
        assert live.frames[-1] == {"type": "revoked", "device_id": device}


def test_an_expired_share_is_revoked(server: Process, bob: Person, device: str) -> None:
    device_share(device, bob)
    Grant.objects.filter(user=bob.user).update(expires_at=timezone.now() + timedelta(seconds=2))
    with subscribed(server, bob, device) as live:
        assert live.until_type("revoked")["device_id"] == device


@pytest.mark.parametrize("how", ["release", "transfer"])
def test_a_transferred_device_is_revoked(server: Process, alice: Person, bob: Person, device: str, how: str) -> None:
    with subscribed(server, alice, device) as live:
        if how == "release":
            alice.http.delete(f"/api/devices/{device}")
        else:
            offer = alice.http.post(f"/api/devices/{device}/transfer", json={"username": bob.username}).json()
            assert bob.http.post(f"/api/transfers/{offer['id']}/accept").status_code == 200
        assert live.until_type("revoked")["device_id"] == device


@pytest.mark.parametrize("how", ["logout", "token expired"])
def test_ended_credentials_close_the_socket(server: Process, alice: Person, device: str, how: str) -> None:
    if how == "token expired":
        AccessToken.objects.filter(user=alice.user).update(expires_at=timezone.now() + timedelta(seconds=2))
    with subscribed(server, alice, device) as live:
        if how == "logout":
            assert alice.http.post("/api/auth/logout").status_code == 204
        assert live.close_code() == 4401


def test_a_password_change_closes_sockets_of_other_sessions(server: Process, alice: Person, device: str) -> None:
    with subscribed(server, alice, device) as live:
        login = {"username": alice.username, "password": alice.password}
        token = alice.http.post("/api/auth/login", json=login).json()["token"]
        change = {"current_password": alice.password, "new_password": "another-long-secret-42"}
        answer = alice.http.post("/api/auth/password", json=change, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 204, answer.text
        assert live.close_code() == 4401


def test_malformed_events_on_the_access_channel_are_ignored(
    server: Process, stack: Stack, alice: Person, bob: Person, device: str
) -> None:
    device_share(device, bob)
    rubbish: list[Any] = ["", "nonsense", "[]", '{"users": 5}', '{"nonsense": [1]}', b"\xff"]
    with subscribed(server, bob, device) as live, redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        for payload in rubbish:
            client.publish("wattstream:access", payload)
        Device.objects.get(device_id=device)
        alice.http.delete(f"/api/devices/{device}/shares/{bob.username}")
        assert live.until_type("revoked")["device_id"] == device
