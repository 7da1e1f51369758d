"""Single flight: shared work, waiting callers, and cancellation."""

from __future__ import annotations

import asyncio

from core.single_flight import Flights


class Work:
    """Work that waits for a release, and records its starts and its cancellation."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.begun == 13:
            raise LookupError
        return self.begun


async def turns() -> None:
    """Let all runnable tasks run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_identical_concurrent_calls_share_one_flight() -> None:
    flights, work = Flights[int](), Work()
    waiters = [asyncio.create_task(flights.join("key", work)) for _ in range(5)]
    await turns()
    other = asyncio.create_task(flights.join("other", work))
    await turns()
    assert work.begun == 2
    work.may_end.set()
    assert await asyncio.gather(*waiters, other) == [2] * 6
    assert await flights.join("key", work) == 3  # no entry remains


async def test_a_cancelled_waiter_does_not_affect_the_others() -> None:
    flights, work = Flights[int](), Work()
    first, second = (asyncio.create_task(flights.join("key", work)) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    assert (first.cancelled(), second.done(), work.cancelled) == (True, False, 0)
    work.may_end.set()
    assert await second == 1


async def test_the_last_cancelled_waiter_cancels_the_work() -> None:
    flights, work = Flights[int](), Work()
    waiters = [asyncio.create_task(flights.join("key", work)) for _ in range(2)]
    await turns()
    for waiter in waiters:
        waiter.cancel()
    await turns()
    assert work.cancelled == 1
    work.may_end.set()
    assert await flights.join("key", work) == 2


async def test_all_waiters_get_the_failure() -> None:
    flights, work = Flights[int](), Work()
    work.begun = 12
    waiters = [asyncio.create_task(flights.join("key", work)) for _ in range(3)]
    await turns()
    work.may_end.set()
    found = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(error) for error in found] == [LookupError] * 3
