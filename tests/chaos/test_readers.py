"""A client that stops reading affects no other client."""

from __future__ import annotations

import asyncio

import pytest

from testing.cast import Person, device_create
from testing.flood import flood
from testing.stalled import StalledSocket, resident_bytes
from testing.waiting import wait_until_async
from tests.chaos.drama import Drama

pytestmark = pytest.mark.processes

MEMORY_BOUND_BYTES = 64 * 1024 * 1024


@pytest.fixture
def flooded(watching_person: Person) -> str:
    """The id of a device outside the comparison."""
    return device_create(owner=watching_person)


async def test_stalled_readers_are_disconnected_and_affect_no_others(
    act: Drama, watching_person: Person, flooded: str
) -> None:
    server = act.site.servers[0]
    memory = resident_bytes(server)
    stalled = [StalledSocket(server, watching_person, [flooded, *act.devices]) for _ in range(5)]
    try:

        async def are_given_up() -> bool:
            await asyncio.to_thread(flood, act.site.env, flooded)
            return all(each.is_given_up for each in stalled)

        await wait_until_async(are_given_up, "the stalled sockets are gone", deadline_s=60)
        assert resident_bytes(server) - memory < MEMORY_BOUND_BYTES
    finally:
        for each in stalled:
            each.close()
    await act.flow(3)
    await act.settle()
