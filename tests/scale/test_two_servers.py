"""Two server processes, one Redis, one front: each server can serve any client."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from testing.cast import Person, device_create, device_share, person_create
from testing.socket import LiveSocket
from testing.stack import Stack
from tests.chaos.drama import Drama
from tests.scale.site import ScaleSite, site_running

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaleSite]:
    with site_running(stack.env, tmp_path_factory.mktemp("two-servers")) as running:
        yield running


async def test_a_server_is_killed_under_load_and_its_clients_reconnect(
    act: Drama, site: ScaleSite, person: Person
) -> None:
    await asyncio.to_thread(site.servers[0].stop, signal.SIGKILL)
    try:
        await act.flow()
        for _ in range(10):  # nginx retries at the other server; clients see no error
            answer = await asyncio.to_thread(person.http.get, f"/api/history/{act.devices[0]}?range=10m")
            assert answer.status_code == 200
    finally:
        await asyncio.to_thread(site.servers[0].start)
    await act.flow()
    await act.settle()


def test_access_revoked_at_one_server_is_revoked_at_the_other(site: ScaleSite, person: Person) -> None:
    device_id = device_create(owner=person)
    guest = person_create(f"guest_{device_id}", base_url=site.url)
    device_share(device_id, guest)
    with (
        LiveSocket(site.servers[0].url, person=guest) as one,
        LiveSocket(site.servers[1].url, person=guest) as other,
    ):
        for live in (one, other):
            live.subscribe(device_id)
            live.until_type("subscribed")
        assert person.http.delete(f"/api/devices/{device_id}/shares/{guest.username}").status_code == 204
        for live in (one, other):
            assert live.until_type("revoked")["device_id"] == device_id
    guest.http.close()


def test_a_ticket_is_valid_once_at_any_server(site: ScaleSite, person: Person) -> None:
    headers = {"Authorization": f"Bearer {person.token}"}
    ticket = person.http.post(f"{site.servers[0].url}/api/auth/ws-ticket", headers=headers).json()["ticket"]
    subprotocols = ["wattstream.v1", f"ticket.{ticket}"]
    with LiveSocket(site.servers[1].url, subprotocols=subprotocols) as live:
        assert live.next()["type"] == "welcome"
    with LiveSocket(site.servers[0].url, subprotocols=subprotocols) as live:
        assert live.close_code() == 4401
