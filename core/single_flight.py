"""Single flight: equal requests at the same time share one computation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

V = TypeVar("V")


@dataclass(slots=True, eq=False)
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiters: int = 0


class Flights(Generic[V]):
    """Work in progress by key, per event loop. A result is not kept after the work is done.

    A caller may get a result whose computation began shortly before the call. So the key must contain everything that
    the result depends on except the time, and the caller must have checked access before it joins.
    """

    def __init__(self) -> None:
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Flight[V]]] = WeakKeyDictionary()

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the result of `work`, or of the work in progress for `key`. Raises what the work raises.

        Cancelling one waiter does not affect the others; cancelling the last one cancels the work.
        """
        flights = self._of_loop.setdefault(asyncio.get_running_loop(), {})
        flight = flights.get(key)
        if flight is None:
            flight = flights[key] = _Flight(asyncio.create_task(work()))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flights.get(key) is flight and (flight.task.done() or not flight.waiters):
                del flights[key]
            if not flight.waiters:
                flight.task.cancel()
