"""The highest load that a site carries, found by doubling and then halving the difference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

Passes = Callable[[int], Awaitable[bool]]
PRECISION = 0.12


async def highest(passes: Passes, *, start: int, most: int, attempts: int = 2, precision: float = PRECISION) -> int:
    """The highest load up to `most` that `passes`, to within `precision` of itself; 0 where not even 1 does.

    A load that fails is tried `attempts` times before it is believed: other work on the machine may have been at fault.
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
