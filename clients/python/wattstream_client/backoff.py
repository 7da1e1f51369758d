"""How long to wait before the next attempt: exponential, bounded, and jittered, so that clients do not come as one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """After the n-th failure in a row between half and all of `first_s` · 2ⁿ⁻¹, never more than `longest_s` seconds."""

    first_s: float = 0.5
    longest_s: float = 30.0
    chance: random.Random = field(default_factory=random.Random, repr=False)
    failures: int = 0

    def next_s(self) -> float:
        """Count a failure; how many seconds to wait now."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked."""
        self.failures = 0
