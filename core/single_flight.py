"""Single flight: whoever asks what is being asked already waits for that answer instead of asking again."""

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
    """Work in progress by key, per event loop. Nothing is kept once it is done.

    Who joins gets an answer that was begun a moment before they asked. So a key must hold all that the answer depends
    on but the moment, and whoever may not have the answer must have been sent away before.
    """

    def __init__(self) -> None:
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Flight[V]]] = WeakKeyDictionary()

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The result of `work`, or of the one under way for `key`; raises what it raises.

        A waiter that is cancelled leaves the others waiting; when the last one leaves, the work is cancelled.
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
