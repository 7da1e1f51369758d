"""The gate that closes after failed handshakes. Its effect on real sockets: tests/auth_app/test_attempts.py."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from django.conf import settings

from auth_app.limits.attempts import Limit
from live_app.access.admission import Gate
from telemetry.redis import redis_client_sync

pytestmark = pytest.mark.usefixtures("stack")


def limit(most: int = 2) -> Limit:
    return Limit("test", secrets.token_hex(8), most)


async def test_the_gate_closes_at_the_first_failure_beyond_the_limit() -> None:
    gate, one = Gate(), limit(2)
    assert [await gate.failed(one) for _ in range(3)] == [False, False, True]
    assert gate.is_shut(one)
    assert not gate.is_shut(limit())


async def test_a_burst_is_counted_exactly() -> None:
    gate, one = Gate(), limit(5)
    refused = await asyncio.gather(*(gate.failed(one) for _ in range(40)))
    assert refused.count(False) == 5


async def test_another_process_has_counted_already() -> None:
    one = limit(1)
    assert not await Gate().failed(one)
    assert await Gate().failed(one)


async def test_a_good_handshake_does_not_ask_redis() -> None:
    one = limit()
    assert not Gate().is_shut(one)
    assert not redis_client_sync(settings.REDIS_URL).exists(one.key)


async def test_the_gate_keeps_a_bounded_number_of_entries() -> None:
    gate, many = Gate(size=2), [limit(1) for _ in range(3)]
    for one in many:
        await gate.failed(one)
        await gate.failed(one)
    assert [gate.is_shut(one) for one in many] == [False, True, True]
