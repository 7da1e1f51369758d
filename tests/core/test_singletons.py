from __future__ import annotations

import asyncio

import pytest

from core.singletons import PerLoop


class Thing:
    pass


def test_each_event_loop_has_its_own_object() -> None:
    things = PerLoop(Thing)

    async def twice() -> tuple[Thing, Thing]:
        return things(), things()

    first, again = asyncio.run(twice())
    other, _ = asyncio.run(twice())
    assert first is again
    assert first is not other


async def test_an_object_is_created_by_the_first_call() -> None:
    things = PerLoop(Thing)
    assert things.existing() is None
    thing = things()
    assert things.existing() is thing


async def test_a_discarded_object_is_replaced_by_the_next_call() -> None:
    things = PerLoop(Thing)
    thing = things()
    assert things.discard() is thing
    assert things.discard() is None
    assert things() is not thing


def test_a_running_loop_is_required() -> None:
    with pytest.raises(RuntimeError):
        PerLoop(Thing)()
