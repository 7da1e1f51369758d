"""The demo's people and houses: alice owns two and shares one with bob, bob owns the third."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from auth_app.models import User
from devices_app.models import Device, Grant


class Command(BaseCommand):
    help = "Make or refresh the demo's accounts. The password comes from DEMO_PASSWORD."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("devices", nargs=3, help="alice's shared device, alice's other device, bob's device")

    def handle(self, *args: Any, devices: list[str], **options: Any) -> None:
        password = os.environ.get("DEMO_PASSWORD", "")
        if not password:
            raise CommandError("DEMO_PASSWORD is not set")
        alice, bob = _user("alice", password), _user("bob", password)
        _user("admin", password, is_staff=True, is_superuser=True)
        shared = _device(devices[0], "House by the lake", alice)
        _device(devices[1], "Barn", alice)
        _device(devices[2], "Flat in town", bob)
        Grant.objects.get_or_create(device=shared, user=bob)


def _user(username: str, password: str, **flags: bool) -> User:
    user, is_new = User.objects.get_or_create(username=username, defaults=flags)
    if is_new or not user.check_password(password):
        user.set_password(password)
        user.save()
    return user


def _device(device_id: str, name: str, owner: User) -> Device:
    device, _ = Device.objects.get_or_create(
        device_id=device_id, defaults={"name": name, "owner": owner, "timezone": "Europe/Berlin"}
    )
    return device
