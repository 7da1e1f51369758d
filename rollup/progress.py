"""Counters of a rollup since its process started."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Counters since the process started; `total` is the work that the last plan found, in days of devices."""

    slices: int = 0
    days: int = 0
    readings: int = 0
    below_floor: int = 0
    errors: int = 0
    total: int = 0
    caught_up_at: float | None = None  # monotonic clock; None: no rollup has ever caught up

    @property
    def lag_s(self) -> float | None:
        """Seconds since the tiers last contained every due change, from any rollup; None before the first time."""
        return None if self.caught_up_at is None else time.monotonic() - self.caught_up_at
