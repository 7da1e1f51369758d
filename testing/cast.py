"""The standing cast: alice owns, bob is a guest, charlie is a stranger. Created through the ORM."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import httpx

from auth_app.models import AccessToken, User
from auth_app.tokens.access_tokens import token_create
from devices_app.models import Device, Grant
from testing.contract import answer_check

PASSWORD = "correct-horse-battery"


@dataclass
class Person:
    """A user with a token; `http` sends it."""

    user: User
    password: str
    token: str
    http: httpx.Client

    @property
    def username(self) -> str:
        return self.user.username


def client(base_url: str, **more: Any) -> httpx.Client:
    """Return an HTTP client that checks every response against the OpenAPI document."""
    return httpx.Client(base_url=base_url, timeout=30, event_hooks={"response": [answer_check]}, **more)


def person_create(username: str, *, base_url: str) -> Person:
    user = User.objects.create_user(username, password=PASSWORD)
    token, _ = token_create(user=user, kind=AccessToken.Kind.LOGIN)
    http = client(base_url, headers={"Authorization": f"Bearer {token}"})
    return Person(user, PASSWORD, token, http)


def device_create(*, owner: Person | None = None, timezone: str = "UTC") -> str:
    device_id = f"ems_{secrets.token_hex(5)}"
    Device.objects.create(device_id=device_id, owner=owner.user if owner else None, timezone=timezone)
    return device_id


def device_share(device_id: str, person: Person) -> Grant:
    return Grant.objects.create(device=Device.objects.get(device_id=device_id), user=person.user)
