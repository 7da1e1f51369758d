"""Pauses between attempts: exponential, bounded, and jittered, so that clients do not reconnect all at once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """After the n-th failure in a row: between half and all of `first_s` · 2ⁿ⁻¹ seconds, at most `longest_s`."""

    first_s: float = 0.5
    longest_s: float = 30.0
    chance: random.Random = field(default_factory=random.Random, repr=False)
    failures: int = 0

    def next_s(self) -> float:
        """Count a failure. Returns the pause in seconds."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Call this after a success."""
        self.failures = 0
