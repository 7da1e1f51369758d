"""The search for the highest load that a site carries."""

from __future__ import annotations

import pytest

from bench.measure.search import highest


def carried_up_to(limit: int, asked: list[int]) -> object:
    async def passes(load: int) -> bool:
        asked.append(load)
        return load <= limit

    return passes


@pytest.mark.parametrize("limit", [1, 7, 100, 1_234, 9_999])
async def test_the_found_load_is_carried_and_close_to_the_limit(limit: int) -> None:
    asked: list[int] = []
    found = await highest(carried_up_to(limit, asked), start=100, most=100_000)  # type: ignore[arg-type]
    assert found <= limit
    assert limit - found <= max(1, 0.15 * limit)
    assert found in asked


async def test_the_search_stops_at_the_maximum_load() -> None:
    asked: list[int] = []
    assert await highest(carried_up_to(10**9, asked), start=100, most=700) == 700  # type: ignore[arg-type]
    assert max(asked) == 700


async def test_the_result_is_zero_if_no_load_is_carried() -> None:
    assert await highest(carried_up_to(0, []), start=100, most=700) == 0  # type: ignore[arg-type]


async def test_a_load_that_fails_once_is_retried() -> None:
    failed: set[int] = set()

    async def passes(load: int) -> bool:
        is_new = load not in failed
        failed.add(load)
        return load <= 400 and not is_new

    assert await highest(passes, start=100, most=400) == 400
    assert await highest(lambda load: passes(load + 10**6), start=100, most=400, attempts=1) == 0
