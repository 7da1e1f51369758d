"""Find the highest load that a site carries: double, then bisect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Passes = Callable[[int], Awaitable[bool]]
PRECISION = 0.12


async def highest(passes: Passes, *, start: int, most: int, attempts: int = 2, precision: float = PRECISION) -> int:
    """Return the highest load up to `most` that `passes`, to a relative `precision`; 0 if a load of 1 fails.

    A load fails only after `attempts` failures, because other work on the machine may have caused one.
    """

    async def is_carried(load: int) -> bool:
        for _ in range(attempts):
            if await passes(load):
                return True
        return False

    low, high = 0, min(start, most)
    while await is_carried(high):
        low = high
        if low == most:
            return low
        high = min(2 * high, most)
    while high - low > max(1, precision * high):
        middle = (low + high) // 2
        if await is_carried(middle):
            low = middle
        else:
            high = middle
    return low
