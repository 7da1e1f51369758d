"""Behaviour that would differ between the two databases without precautions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from auth_app.models import AccessToken, User
from auth_app.tokens.access_tokens import token_create
from auth_app.tokens.api_keys import API_KEYS_PER_USER
from devices_app.models import Device, Grant
from testing.cast import PASSWORD, Person
from testing.process import Process
from tests.auth_app.answers import assert_problem, browser
from tests.devices_app.answers import assert_forbidden_alike

NUL = "a\0b"
FIELDS = [
    ("/api/auth/register", {"username": NUL, "password": PASSWORD}),
    ("/api/auth/register", {"username": "nul", "password": NUL + PASSWORD}),
    ("/api/auth/register", {"username": "nul", "password": PASSWORD, "email": f"{NUL}@example.com"}),
    ("/api/auth/login", {"username": NUL, "password": PASSWORD}),
    ("/api/auth/login", {"username": "nul", "password": NUL}),
    ("/api/auth/password", {"current_password": NUL, "new_password": PASSWORD}),
    ("/api/auth/tokens", {"name": NUL}),
    ("/api/devices/claim", {"device_id": NUL, "claim_code": "7K2QX"}),
    ("/api/devices/{device}/shares", {"username": NUL}),
    ("/api/devices/{device}/transfer", {"username": NUL}),
]


@pytest.mark.parametrize(("url", "body"), FIELDS)
def test_nul_in_a_body_is_a_bad_request(alice: Person, device: str, url: str, body: dict[str, str]) -> None:
    """PostgreSQL rejects NUL in text; SQLite accepts it."""
    assert_problem(alice.http.post(url.format(device=device), json=body), 400)


def test_nul_in_device_fields_is_a_bad_request(alice: Person, device: str) -> None:
    assert_problem(alice.http.patch(f"/api/devices/{device}", json={"name": NUL}), 400, naming="name")
    assert_problem(alice.http.patch(f"/api/devices/{device}", json={"timezone": NUL}), 400, naming="timezone")


def test_nul_in_a_path_matches_no_user_and_no_device(alice: Person, device: str) -> None:
    assert alice.http.delete(f"/api/devices/{device}/shares/a%00b").status_code == 204
    assert_forbidden_alike(alice.http.get("/api/devices/a%00b"))
    assert alice.http.get("/api/history/a%00b?range=1h").status_code in (400, 403)
    assert alice.http.get("/api/latest?devices=a%00b").status_code in (400, 403)


def test_nul_in_the_admin_search_is_not_a_server_error(server: Process, alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(is_staff=True, is_superuser=True)
    with browser(server, alice) as staff:
        for query in ("q=%00", "username=%00", "username__contains=%00"):
            assert staff.get(f"/admin/auth_app/user/?{query}").status_code in (200, 302, 400), query


def test_lists_are_in_code_point_order_under_any_collation(alice: Person, device: str) -> None:
    """A dictionary collation would sort a before B and ignore dots."""
    ids = [f"{device[:12]}{ending}" for ending in ("_a", ".b", "-C", "A", "B", "a", "b")]
    for device_id in ids:
        Device.objects.create(device_id=device_id, owner=alice.user)
    listed = [seen["device_id"] for seen in alice.http.get("/api/devices").json()]
    assert listed == sorted([device, *ids])
    names = [f"{device}{ending}" for ending in ("_a", ".b", "A", "B", "a2", "b2")]
    for name in names:
        Grant.objects.create(device=Device.objects.get(device_id=device), user=User.objects.create(username=name))
    shares = alice.http.get(f"/api/devices/{device}/shares").json()
    assert [share["username"] for share in shares] == sorted(names)


def test_usernames_ignore_case(anonymous: httpx.Client, alice: Person) -> None:
    shouted = {"username": alice.username.upper(), "password": PASSWORD}
    answer = anonymous.post("/api/auth/login", json=shouted)
    assert answer.status_code == 200
    assert answer.json()["user"]["username"] == alice.username
    assert_problem(anonymous.post("/api/auth/register", json=shouted), 400, code="username_taken")


def test_the_limit_on_keys_holds_for_concurrent_requests(alice: Person) -> None:
    for number in range(API_KEYS_PER_USER - 2):
        token_create(user=alice.user, kind=AccessToken.Kind.API_KEY, name=str(number))
    with ThreadPoolExecutor(8) as threads:
        codes = list(
            threads.map(lambda _: alice.http.post("/api/auth/tokens", json={"name": "k"}).status_code, range(8))
        )
    assert sorted(codes) == [201] * 2 + [400] * 6
