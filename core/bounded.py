"""Data that cannot grow without bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedDict(OrderedDict[K, V]):
    """Holds at most `size` entries. The least recently set entry is removed first; reading does not change the order.

    One operation is safe from any thread, a sequence of operations is not.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._size:
            self.popitem(last=False)


def depth_is_bounded(value: object, levels: int) -> bool:
    """Whether parsed JSON nests lists and objects at most `levels` deep. Does not recurse."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            inner
            for outer in layer if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]  # fmt: skip
        if not layer:
            return True
    return False
