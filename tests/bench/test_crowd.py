"""The crowd's comparison with the stored readings."""

from __future__ import annotations

import time

import pytest

from bench.loads.crowd import Crowd, Verdict
from testing.cast import Person
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import publish, reading_at, store
from testing.waiting import wait_until_async

MS_US = 1000


def readings_with_microseconds(device: str, count: int) -> list[object]:
    """Return readings with timestamps of six digits, which the crowd expects."""
    first_us = time.time_ns() // 1000 | 1
    return [reading_at(device, first_us + 2 * index * MS_US) for index in range(count)]


async def watched(stack: Stack, server: Process, alice: Person, device: str, *, published: list[int]) -> Verdict:
    """Store six readings, publish those at the positions `published` in this order, and return the verdict."""
    readings = readings_with_microseconds(device, 6)
    async with Crowd([server.port], alice.token, [device], watchers=2) as crowd:
        publish(stack, [readings[place] for place in published], ring=False)  # type: ignore[misc]
        store(stack, readings)  # type: ignore[arg-type]
        truth = {device: [reading.us for reading in readings]}  # type: ignore[attr-defined]

        async def has_come() -> bool:
            return all(record.last == truth[device][max(published)] for record in crowd.records)

        await wait_until_async(has_come, "the newest published reading")
        return await crowd.complete(truth, deadline_s=1)


async def test_every_reading_received_once_is_a_clean_verdict(
    stack: Stack, server: Process, alice: Person, device: str
) -> None:
    verdict = await watched(stack, server, alice, device, published=[0, 1, 2, 3, 4, 5])
    assert verdict == Verdict(owed=12, given=12)


@pytest.mark.parametrize("unpublished", [2, 5])
async def test_a_stored_reading_without_delivery_is_lost(
    stack: Stack, server: Process, alice: Person, device: str, unpublished: int
) -> None:
    places = [place for place in range(6) if place != unpublished]
    verdict = await watched(stack, server, alice, device, published=places)
    assert (verdict.lost, verdict.given, verdict.doubled) == (2, 10, 0)


async def test_a_late_reading_is_named_but_not_lost(stack: Stack, server: Process, alice: Person, device: str) -> None:
    verdict = await watched(stack, server, alice, device, published=[0, 1, 3, 4, 5, 2])
    assert (verdict.named, verdict.lost, verdict.given) == (2, 0, 10)


async def test_a_dashboard_reconnects_with_its_cursor_after_a_server_restart(
    stack: Stack, alice: Person, device: str, server: Process
) -> None:
    from testing.proxy import TcpProxy

    proxy = TcpProxy(("127.0.0.1", server.port))
    readings = readings_with_microseconds(device, 6)
    truth = {device: [reading.us for reading in readings]}  # type: ignore[attr-defined]
    try:
        async with Crowd([proxy.port], alice.token, [device]) as crowd:
            publish(stack, readings[:3])  # type: ignore[arg-type]
            store(stack, readings[:3])  # type: ignore[arg-type]
            proxy.kill_connections()
            publish(stack, readings[3:])  # type: ignore[arg-type]
            store(stack, readings[3:])  # type: ignore[arg-type]
            verdict = await crowd.complete(truth, deadline_s=20)
    finally:
        proxy.close()
    assert verdict == Verdict(owed=6, given=6, reconnects=1)
