"""Readings ahead of the clock: each waits until its time has come."""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable

from telemetry.reading import Reading
from telemetry.times import SECOND_US, now_us

LONGEST_WAIT_S = 1.0  # the clock may be set meanwhile


class Ahead:
    """Holds readings and passes each to `release` when its time has come, oldest first.

    `limit`: how many readings it holds at most; beyond it, the readings farthest ahead are dropped.
    """

    def __init__(self, release: Callable[[Reading], object], *, limit: int | None = None) -> None:
        self._release = release
        self._limit = limit
        self._held: list[Reading] = []  # ascending in time
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, readings: Iterable[Reading]) -> None:
        """Hold readings in any order. Those whose time has come are released in the next iteration of the loop."""
        for reading in readings:
            insort(self._held, reading, key=_time_of)
        if self._limit is not None:
            del self._held[self._limit :]
        self._wait()

    def release_due(self) -> None:
        """Release what is due now: call it before a reading that must not overtake those."""
        count = bisect_right(self._held, now_us(), key=_time_of) if self._held else 0
        if count:
            due = self._held[:count]
            del self._held[:count]
            for reading in due:
                self._release(reading)
            self._wait()

    def clear(self) -> None:
        """Drop all readings."""
        self._held.clear()
        self._wait()

    def _wait(self) -> None:
        """Set the timer for the first reading."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held:
            wait_s = min(max(0.0, (self._held[0].us - now_us()) / SECOND_US), LONGEST_WAIT_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._on_timer)

    def _on_timer(self) -> None:
        self.release_due()
        self._wait()


def _time_of(reading: Reading) -> int:
    return reading.us
