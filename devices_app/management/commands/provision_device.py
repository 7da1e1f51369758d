"""Registers a device, or makes a new claim code for one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from auth_app.models import User
from auth_app.selectors import user_by_name
from devices_app.models import Device
from devices_app.services import device_provision, device_reissue
from telemetry.keys import device_key


class Command(BaseCommand):
    help = "Registers a device and prints its device key and its claim code."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("device_id", metavar="ID")
        parser.add_argument("--name", default="", help="what people call it")
        parser.add_argument("--owner", metavar="USER", help="who owns it from the start")
        parser.add_argument(
            "--reissue", action="store_true", help="print a new claim code for a registered device; the old one is void"
        )

    def handle(self, *, device_id: str, name: str, owner: str | None, reissue: bool, **_: Any) -> None:
        if not settings.INGEST_SECRET:
            raise CommandError("INGEST_SECRET is not set; device keys are made from it.")
        code = _reissue(device_id, name, owner) if reissue else _provision(device_id, name, owner)
        self.stdout.write(f"device key: {device_key(settings.INGEST_SECRET, device_id)}")
        self.stdout.write(f"claim code: {code}")


def _provision(device_id: str, name: str, owner: str | None) -> str:
    if Device.objects.filter(device_id=device_id).exists():
        raise CommandError(f"{device_id} is registered already; --reissue prints a new claim code for it.")
    try:
        return device_provision(device_id=device_id, name=name, owner=_user(owner))[1]
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error


def _reissue(device_id: str, name: str, owner: str | None) -> str:
    if name or owner:
        raise CommandError("--reissue only makes a new claim code; change name and owner in the admin.")
    device = Device.objects.filter(device_id=device_id).first()
    if device is None:
        raise CommandError(f"{device_id} is not registered; leave --reissue out to register it.")
    return device_reissue(device=device)


def _user(username: str | None) -> User | None:
    if username is None:
        return None
    user = user_by_name(username)
    if user is None:
        raise CommandError(f"--owner: {username!r} is nobody here.")
    return user
