"""Accounts and devices of a measurement: `python -m bench.loads.accounts` reads an order as JSON from standard input.

It is a separate process, because it needs Django with the environment of the measured stack.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OWNER, VIEWER = "bench", "viewer_"
PASSWORD = "correct-horse-battery"
DEVICES_EACH = 3
CHUNK = 5_000


def accounts_create(env: Mapping[str, str], devices: Sequence[str], *, viewers: int = 0) -> str:
    """Create a user who owns all `devices` and return a new token.

    Also creates `viewers` users with `PASSWORD`, who see `DEVICES_EACH` devices each.
    """
    order = json.dumps({"devices": list(devices), "viewers": viewers})
    done = subprocess.run(
        [sys.executable, "-m", "bench.loads.accounts"],
        cwd=ROOT, env=dict(env), input=order, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout.split()[-1]


def viewer_name(number: int) -> str:
    return f"{VIEWER}{number}"


def _carry_out(order: Mapping[str, Any]) -> str:
    from auth_app.models import AccessToken, User
    from auth_app.tokens.access_tokens import token_create
    from devices_app.models import Device

    owner, _ = User.objects.get_or_create(username=OWNER)
    rows = [Device(device_id=device, owner=owner) for device in order["devices"]]
    Device.objects.bulk_create(rows, ignore_conflicts=True, batch_size=CHUNK)
    if order["viewers"]:
        _viewers(order["viewers"], order["devices"])
    return token_create(user=owner, kind=AccessToken.Kind.LOGIN)[0]


def _viewers(count: int, devices: Sequence[str]) -> None:
    from django.contrib.auth.hashers import make_password

    from auth_app.models import User
    from devices_app.models import Device, Grant

    names = [viewer_name(number) for number in range(count)]
    hashed = make_password(PASSWORD)
    users = [User(username=name, password=hashed) for name in names]
    User.objects.bulk_create(users, ignore_conflicts=True, batch_size=CHUNK)
    found = User.objects.in_bulk(names, field_name="username")
    seen = list(Device.objects.in_bulk(devices, field_name="device_id").values())
    grants = [
        Grant(device=seen[(number + place) % len(seen)], user=found[name])
        for number, name in enumerate(names)
        for place in range(min(DEVICES_EACH, len(seen)))
    ]
    Grant.objects.bulk_create(grants, ignore_conflicts=True, batch_size=CHUNK)


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
    django.setup()
    print(_carry_out(json.load(sys.stdin)))
