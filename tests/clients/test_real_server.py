"""The Python client on the real server: history, live, and gaps that history fills."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from wattstream_client import Forbidden, NotAuthenticated, WattstreamClient
from wattstream_client import Reading as Given

from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store

DEADLINE_S = 30


async def test_history_continues_with_live_readings(server: Process, stack: Stack, alice: Person, device: str) -> None:
    readings = readings_each_second(device, now_us() - 100 * SECOND_US, 60)
    store(stack, readings[:40])
    publish(stack, readings[:50])
    async with asyncio.timeout(DEADLINE_S), WattstreamClient(server.url, alice.token) as client:
        history = await client.history(device, range="10m", metrics="grid_power")
        given = list(history.readings)
        async with aclosing(client.follow({device: history.cursor}, metrics=["grid_power"])) as events:
            async for event in events:
                assert isinstance(event, Given)
                given.append(event)
                if event.us == readings[49].us:
                    publish(stack, readings[50:])
                if event.us == readings[-1].us:
                    break
    assert [reading.us for reading in given] == [reading.us for reading in readings]
    assert {tuple(reading.values) for reading in given} == {("grid_power",)}


async def test_readings_that_cannot_be_replayed_are_loaded_from_history(
    server: Process, stack: Stack, alice: Person, device: str
) -> None:
    readings = readings_each_second(device, now_us() - 20_000 * SECOND_US, 12_000)
    store(stack, readings)
    count = 0
    async with (
        asyncio.timeout(DEADLINE_S),
        WattstreamClient(server.url, alice.token) as client,
        aclosing(client.readings({device: iso_from_us(readings[0].us)}, metrics=["grid_power"])) as series,
    ):
        async for reading in series:
            count += 1
            assert reading.us == readings[count].us
            if count == len(readings) - 1:
                break


async def test_a_late_reading_is_delivered_late(server: Process, stack: Stack, alice: Person, device: str) -> None:
    first, late, second, last = readings_each_second(device, now_us() - 100 * SECOND_US, 4)
    given: list[int] = []
    async with (
        asyncio.timeout(DEADLINE_S),
        WattstreamClient(server.url, alice.token) as client,
        aclosing(client.readings({device: iso_from_us(first.us - SECOND_US)})) as series,
    ):
        store(stack, [first])
        async for reading in series:
            given.append(reading.us)
            if reading.us == first.us:
                store(stack, [second])
                publish(stack, [second], ring=False)
            elif reading.us == second.us:
                publish(stack, [late], ring=False)
                store(stack, [late])
            elif reading.us == late.us:
                store(stack, [last])
                publish(stack, [last], ring=False)
            elif reading.us == last.us:
                break
    assert given == [first.us, second.us, late.us, last.us]


async def test_missing_tokens_and_missing_access_raise_clear_errors(
    server: Process, alice: Person, charlie: Person
) -> None:
    async with asyncio.timeout(DEADLINE_S), WattstreamClient(server.url, "wrong") as client:
        with pytest.raises(NotAuthenticated):
            await client.history("ems_001")
        with pytest.raises(NotAuthenticated):
            await anext(client.follow({"ems_001": None}))
    async with asyncio.timeout(DEADLINE_S), WattstreamClient(server.url, charlie.token) as client:
        with pytest.raises(Forbidden):
            await client.history("ems_001")
        with pytest.raises(Forbidden):
            await anext(client.follow({"ems_001": None}))
