"""A bounded cache of access decisions: entries expire after a few seconds and are purged when access changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from core.bounded import BoundedDict

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class DecisionCache(Generic[K, V]):
    """Holds at most `size` entries for `lifetime_s` each. Safe to purge from another thread.

    A decision that was read from the database before a purge must not be stored after it. So read `generation` first
    and pass it to `put`, which drops the value if a purge happened in between.
    """

    def __init__(self, *, lifetime_s: float, size: int = 20_000) -> None:
        self._lifetime_s = lifetime_s
        self._lock = threading.Lock()
        self._entries: BoundedDict[K, tuple[float, V]] = BoundedDict(size)
        self.generation = 0

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None or entry[0] <= time.monotonic():
            return None
        return entry[1]

    def put(self, key: K, value: V, *, generation: int) -> None:
        with self._lock:
            if generation != self.generation:
                return
            self._entries[key] = (time.monotonic() + self._lifetime_s, value)

    def purge(self, matches: Callable[[K, V], bool] | None = None) -> None:
        """Remove the entries that match, or all of them."""
        with self._lock:
            self.generation += 1
            for key, (_, value) in list(self._entries.items()):
                if matches is None or matches(key, value):
                    del self._entries[key]
