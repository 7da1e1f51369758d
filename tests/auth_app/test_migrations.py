"""Migrations of rows that an older version wrote."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import httpx
from django.apps import apps
from django.db import connection

from auth_app.models import AccessToken
from auth_app.tokens.access_tokens import token_create
from testing.cast import Person

scopes = import_module("auth_app.migrations.0003_older_keys_keep_their_abilities")


def test_keys_without_scopes_keep_their_access(anonymous: httpx.Client, alice: Person, device: str) -> None:
    older, row = token_create(user=alice.user, kind=AccessToken.Kind.API_KEY, scopes=())
    _, newer = token_create(user=alice.user, kind=AccessToken.Kind.API_KEY)
    scopes.keep(apps, SimpleNamespace(connection=connection))
    row.refresh_from_db()
    newer.refresh_from_db()
    assert (row.scopes, newer.scopes) == ("read live manage", "read live")
    assert alice.user.access_tokens.get(kind="login").scopes == ""
    answer = anonymous.patch(f"/api/devices/{device}", json={"name": "x"}, headers={"Authorization": f"Bearer {older}"})
    assert answer.status_code == 200
