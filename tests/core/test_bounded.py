from __future__ import annotations

from core.bounded import BoundedDict


def test_the_least_recently_set_entry_is_dropped_first() -> None:
    held: BoundedDict[str, int] = BoundedDict(2)
    held["a"] = 1
    held["b"] = 2
    held["a"] = 3
    held["c"] = 4
    assert dict(held) == {"a": 3, "c": 4}


def test_a_new_cache_is_empty() -> None:
    assert not BoundedDict(1)
