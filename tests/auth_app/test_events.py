"""Announcements on Redis, after the commit, when access ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson
import pytest
from django.conf import settings

from auth_app.events import CHANNEL
from auth_app.services import user_delete, user_disable
from telemetry.redis import redis_client_sync
from testing.cast import Person
from testing.stack import Stack, manage
from testing.waiting import wait_until

Heard = Callable[[str, int], bool]


@pytest.fixture
def heard(alice: Person) -> Iterator[Heard]:
    """Wait until a change that names this id is announced."""
    changes: list[dict[str, list[int]]] = []
    with redis_client_sync(settings.REDIS_URL).pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(CHANNEL)
        wait_until(lambda: pubsub.get_message(timeout=1), "subscribed")

        def hears(what: str, pk: int) -> bool:
            def named() -> bool:
                message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
                if message:
                    changes.append(orjson.loads(message["data"]))
                return any(pk in change[what] for change in changes)

            return wait_until(named, f"{what} {pk} announced")

        yield hears


def test_logout_is_announced(heard: Heard, alice: Person) -> None:
    token = alice.user.access_tokens.get()
    alice.http.post("/api/auth/logout")
    assert heard("tokens", token.pk)


def test_a_changed_password_is_announced(heard: Heard, alice: Person) -> None:
    body = {"current_password": alice.password, "new_password": "quite-another-secret"}
    alice.http.post("/api/auth/password", json=body)
    assert heard("users", alice.user.pk)


def test_a_deleted_api_key_is_announced(heard: Heard, alice: Person) -> None:
    key = alice.http.post("/api/auth/tokens", json={"name": "k"}).json()
    alice.http.delete(f"/api/auth/tokens/{key['id']}")
    assert heard("tokens", key["id"])


def test_a_disabled_user_is_announced(heard: Heard, alice: Person) -> None:
    user_disable(user=alice.user)
    assert heard("users", alice.user.pk)


def test_a_deleted_user_is_announced(heard: Heard, alice: Person) -> None:
    pk = alice.user.pk
    user_delete(user=alice.user)
    assert heard("users", pk)


def test_a_password_set_by_a_script_is_announced(heard: Heard, alice: Person, stack: Stack) -> None:
    script = (
        f"from auth_app.models import User; u = User.objects.get(pk={alice.user.pk}); u.set_password('x'); u.save()"
    )
    manage(stack.env, "shell", "-c", script)
    assert heard("users", alice.user.pk)
    assert alice.http.get("/api/auth/me").status_code == 401


def test_other_changes_of_a_user_are_not_announced(alice: Person) -> None:
    alice.user.email = "new@example.org"
    alice.user.save()
    assert alice.http.get("/api/auth/me").json()["email"] == "new@example.org"
