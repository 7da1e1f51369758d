"""Objects of which each event loop has its own: they hold tasks, sockets or locks that are bound to the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Calling it returns the object of the running event loop; the first call in a loop makes it with `make`.

    An object is forgotten together with its loop. All methods raise `RuntimeError` outside of an event loop.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()

    def __call__(self) -> T:
        loop = asyncio.get_running_loop()
        found = self._made.get(loop)
        if found is None:
            found = self._made[loop] = self._make()
        return found

    def existing(self) -> T | None:
        """The running loop's object, or None if none was made yet."""
        return self._made.get(asyncio.get_running_loop())

    def discard(self) -> T | None:
        """Remove and return the running loop's object, or None. The caller closes it; the next call makes another."""
        return self._made.pop(asyncio.get_running_loop(), None)
