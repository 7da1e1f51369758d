"""Fair shares: users take turns, and one user never holds more than its share."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from core.errors import Unavailable
from core.fair import INLINE_UNITS, FairGate, FairRate, in_turn
from telemetry.logs import CONTEXT, LogContext

DEADLINE_S = 20


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


class Crowd:
    """Tasks of several users at one gate. Each holds its slot until `finish`."""

    def __init__(self, gate: FairGate) -> None:
        self.gate = gate
        self.order: list[int | None] = []
        self.finish = asyncio.Event()

    def come(self, user: int | None) -> asyncio.Task[None]:
        context = contextvars.copy_context()
        context.run(CONTEXT.set, LogContext(user=user))
        return asyncio.create_task(self._hold(user), context=context)

    async def _hold(self, user: int | None) -> None:
        async with self.gate.turn():
            self.order.append(user)
            await self.finish.wait()


async def test_one_user_holds_at_most_its_share() -> None:
    crowd = Crowd(FairGate(at_once=4, per_user=2, waiting_per_user=10))
    tasks = [crowd.come(1) for _ in range(5)] + [crowd.come(2)]
    await settle()
    assert crowd.order == [1, 1, 2]
    crowd.finish.set()
    await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE_S)
    assert (crowd.gate.held, crowd.gate.waiting) == (0, 0)


async def test_users_take_turns() -> None:
    crowd = Crowd(FairGate(at_once=1, per_user=1, waiting_per_user=10))
    tasks = [crowd.come(user) for user in (1, 1, 1, 1, 2, 3)]
    await settle()
    crowd.finish.set()
    await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE_S)
    assert crowd.order == [1, 1, 2, 3, 1, 1]


async def test_too_many_waiting_tasks_of_one_user_are_refused() -> None:
    crowd = Crowd(FairGate(at_once=1, per_user=1, waiting_per_user=1))
    tasks = [crowd.come(user) for user in (1, 1, 1, 2)]
    await settle()
    with pytest.raises(Unavailable):
        await tasks[2]
    crowd.finish.set()
    await asyncio.wait_for(asyncio.gather(tasks[0], tasks[1], tasks[3]), DEADLINE_S)


async def test_the_server_itself_has_no_share_but_the_bound_of_all() -> None:
    crowd = Crowd(FairGate(at_once=3, per_user=1, waiting_per_user=0))
    tasks = [crowd.come(None) for _ in range(5)]
    await settle()
    assert crowd.order == [None] * 3
    crowd.finish.set()
    await asyncio.wait_for(asyncio.gather(*tasks), DEADLINE_S)


async def test_a_cancelled_task_leaves_nothing_behind() -> None:
    crowd = Crowd(FairGate(at_once=1, per_user=1, waiting_per_user=10))
    first, second, third = (crowd.come(user) for user in (1, 2, 3))
    await settle()
    second.cancel()
    first.cancel()
    await settle()
    assert crowd.order == [1, 3]
    third.cancel()
    await settle()
    assert (crowd.gate.held, crowd.gate.waiting) == (0, 0)


async def test_a_task_that_is_cancelled_when_its_turn_comes_passes_it_on() -> None:
    crowd = Crowd(FairGate(at_once=1, per_user=1, waiting_per_user=10))
    first, second, third = (crowd.come(user) for user in (1, 2, 3))
    await settle()
    first.cancel()
    await asyncio.sleep(0)  # the slot was given to the second task, which has not run yet
    second.cancel()
    await settle()
    assert crowd.order in ([1, 3], [1, 2, 3])
    third.cancel()
    await settle()
    assert (crowd.gate.held, crowd.gate.waiting) == (0, 0)


async def test_a_rate_holds_back_one_user_only() -> None:
    rate = FairRate(burst=10, per_second=1)
    CONTEXT.set(LogContext(user=1))
    assert rate.wait_s() == 0
    rate.charge(10_000)
    assert 9_000 < rate.wait_s() <= 9_990
    CONTEXT.set(LogContext(user=2))
    assert rate.wait_s() == 0


async def test_a_long_computation_leaves_the_event_loop() -> None:
    assert await in_turn(threading.get_ident, units=INLINE_UNITS) == threading.get_ident()
    assert await in_turn(threading.get_ident, units=INLINE_UNITS + 1) != threading.get_ident()
