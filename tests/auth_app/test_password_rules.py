"""Password rules, the password fields of the form, and the absence of default passwords."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import cast

import httpx
from django.conf import settings

from testing.stack import Stack, manage
from tests.auth_app.answers import assert_problem


def test_the_form_masks_the_password_and_lets_managers_fill_it_in(anonymous: httpx.Client) -> None:
    field = re.search(r'<input id="password"[^>]*>', anonymous.get("/login").text)
    assert field
    assert 'type="password"' in field[0]
    assert 'autocomplete="current-password"' in field[0]
    assert "onpaste" not in field[0]


def test_a_long_password_with_spaces_is_used_unchanged(anonymous: httpx.Client) -> None:
    password = " correct Horse \t batterie-ß " + "x" * 100 + " "
    name = f"new_{secrets.token_hex(4)}"
    body = {"username": name, "password": password}
    assert anonymous.post("/api/auth/register", json=body).status_code == 201
    assert anonymous.post("/api/auth/login", json=body).status_code == 200
    for altered in (password.strip(), password.lower(), password[:72]):
        assert_problem(anonymous.post("/api/auth/login", json={"username": name, "password": altered}), 401)


def test_no_validator_asks_for_rotation_or_composition() -> None:
    validators = cast("list[dict[str, str]]", settings.AUTH_PASSWORD_VALIDATORS)
    names = {entry["NAME"].rpartition(".")[2] for entry in validators}
    assert names == {
        "UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator",
        "NumericPasswordValidator",
    }  # fmt: skip


def test_a_new_accounts_database_has_no_users(stack: Stack, tmp_path: Path) -> None:
    env = {**stack.env, "DATABASE_URL": f"sqlite:///{tmp_path / 'new.sqlite3'}"}
    manage(env, "migrate", "--verbosity", "0")
    count = "from auth_app.models import User; print(User.objects.count())"
    assert manage(env, "shell", "--no-imports", "-c", count).strip() == "0"
