"""Start-up time and access checks as users and devices grow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bench.installation import SERVE
from bench.loads.accounts import ROOT
from bench.loads.http_load import load
from bench.measure.cpu import resident_bytes
from bench.stack import BenchStack

CHECKS = 1_000
OWNED = 10  # devices per owner


@dataclass
class AccountsRow:
    """Result for `users` users and as many devices.

    `start_s`: from the command to the first response; `access_us`, `token_us`: one uncached check; `devices_ms`: p50 of
    GET /api/devices for a user who owns ten.
    """

    users: int
    start_s: float
    megabytes: float
    access_us: float
    token_us: float
    devices_ms: float


async def accounts_grow(stack: BenchStack, counts: Sequence[int], seconds: float) -> AsyncIterator[AccountsRow]:
    for users in counts:
        print(f"\r{users:,} users{'':<80}", end="", file=sys.stderr, flush=True)
        measured = await asyncio.to_thread(_grown, stack, users)
        begun = time.perf_counter()
        with stack.server("accounts", SERVE, "/livez") as server:
            start_s = time.perf_counter() - begun
            megabytes = resident_bytes(server.pid) / 1e6
            headers = {"Authorization": f"Bearer {measured['token']}"}
            listed = await load(server.port, ["/api/devices"], headers, seconds=seconds)
        access_us, token_us = float(measured["access_us"]), float(measured["token_us"])
        yield AccountsRow(users, start_s, megabytes, access_us, token_us, listed.percentile_ms(0.5))


def _grown(stack: BenchStack, users: int) -> dict[str, str]:
    """Create users and devices up to `users` and measure the checks in a separate process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.loads.growth_accounts", str(users)],
        cwd=ROOT, env=stack.env, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    told: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return told


def _measure(users: int) -> dict[str, object]:
    """Run inside Django's process: fill the accounts database up to `users`, then time checks of random rows."""
    import random

    from auth_app.identify import identify
    from auth_app.identity import Credentials
    from auth_app.models import AccessToken, User
    from auth_app.tokens.access_tokens import token_create
    from devices_app.access import access_of

    names = [f"grown_{number}" for number in range(users)]
    User.objects.bulk_create([User(username=name) for name in names], ignore_conflicts=True, batch_size=5_000)
    ids = list(User.objects.filter(username__startswith="grown_").order_by("pk").values_list("pk", flat=True))
    _devices(ids)
    _tokens(ids)
    chance = random.Random(1)
    owner = User.objects.get(pk=ids[0])
    token, _ = token_create(user=owner, kind=AccessToken.Kind.LOGIN)
    chosen = [chance.randrange(users) for _ in range(CHECKS)]
    begun = time.perf_counter()
    for number in chosen:
        assert access_of(ids[number // OWNED], [f"grown_{number}"]), f"device {number} has lost its owner"
    access_s = time.perf_counter() - begun
    begun = time.perf_counter()
    for number in chosen:
        assert identify(Credentials(bearer=_token(number))), f"token {number} is unknown"
    token_s = time.perf_counter() - begun
    return {"token": token, "access_us": 1e6 * access_s / CHECKS, "token_us": 1e6 * token_s / CHECKS}


def _devices(ids: Sequence[int]) -> None:
    """Create as many devices as users; each of the first users owns ten of them."""
    from devices_app.models import Device

    rows = [Device(device_id=f"grown_{number}", owner_id=ids[number // OWNED]) for number in range(len(ids))]
    Device.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)


def _tokens(ids: Sequence[int]) -> None:
    """Create one token per user."""
    from datetime import timedelta

    from django.utils.timezone import now

    from auth_app.models import AccessToken
    from auth_app.tokens.digest import token_digest

    kind, expires_at = AccessToken.Kind.LOGIN, now() + timedelta(days=1)
    rows = [
        AccessToken(user_id=user_id, kind=kind, digest=token_digest(_token(number)), expires_at=expires_at)
        for number, user_id in enumerate(ids)
    ]
    AccessToken.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)


def _token(number: int) -> str:
    return f"wst_grown_{number}"


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
    django.setup()
    print(json.dumps(_measure(int(sys.argv[1]))))
