from __future__ import annotations

import pytest

from core.bounded import BoundedDict, depth_is_bounded


def test_the_least_recently_set_entry_is_dropped_first() -> None:
    held: BoundedDict[str, int] = BoundedDict(2)
    held["a"] = 1
    held["b"] = 2
    held["a"] = 3
    held["c"] = 4
    assert dict(held) == {"a": 3, "c": 4}


def test_a_new_cache_is_empty() -> None:
    assert not BoundedDict(1)


@pytest.mark.parametrize(("value", "depth"), [(1, 0), ([2], 1), ({"a": [1]}, 2), ([[], [[{"b": 1}]]], 4)])
def test_the_depth_of_nesting_is_counted(value: object, depth: int) -> None:
    assert depth_is_bounded(value, depth)
    assert not depth or not depth_is_bounded(value, depth - 1)
