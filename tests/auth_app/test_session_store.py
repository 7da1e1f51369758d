"""Sessions are stored under a digest of their key, so the table alone gives no access."""

from __future__ import annotations

import httpx
import pytest
from django.contrib.sessions.models import Session

from auth_app.sessions.store import SessionStore, stored_key
from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import browser, csrf_field

pytestmark = pytest.mark.usefixtures("stack")


def who(server: Process, key: str) -> int:
    return httpx.get(f"{server.url}/api/auth/me", headers={"Cookie": f"sessionid={key}"}, timeout=30).status_code


def test_the_key_in_the_cookie_is_not_in_the_database(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        key = client.cookies["sessionid"]
        assert who(server, key) == 200
        assert not Session.objects.filter(session_key=key).exists()
        assert Session.objects.filter(session_key=stored_key(key)).exists()


def test_the_stored_digest_is_not_a_valid_key(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        assert who(server, stored_key(client.cookies["sessionid"])) == 401


def test_logout_deletes_the_row(server: Process, alice: Person) -> None:
    with browser(server, alice) as client:
        stored = stored_key(client.cookies["sessionid"])
        client.post("/logout", data=csrf_field(client))
    assert not Session.objects.filter(session_key=stored).exists()


def test_data_is_stored_until_it_is_deleted() -> None:
    store = SessionStore()
    store["colour"] = "blue"
    store.save()
    assert store.session_key is not None
    assert SessionStore(store.session_key)["colour"] == "blue"
    assert store.exists(store.session_key)
    store.delete()
    assert not store.exists(store.session_key)
    assert SessionStore(store.session_key).get("colour") is None


async def test_the_async_methods_behave_alike() -> None:
    store = SessionStore()
    await store.aset("colour", "blue")
    await store.asave()
    key = store.session_key
    assert key is not None
    assert await SessionStore(key).aget("colour") == "blue"
    assert await store.aexists(key)
    await store.adelete()
    assert not await store.aexists(key)
    assert await SessionStore(key).aget("colour") is None
