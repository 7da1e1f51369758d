"""One run: several kinds of clients, a load, a fault, and the comparison with the stored readings."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from testing.cast import Person
from testing.waiting import wait_until_async
from tests.chaos.load import Load
from tests.chaos.site import Site
from tests.chaos.watcher import Watcher, assert_record_is_truth

WARM_READINGS = 10


@dataclass
class Drama:
    """The parts that a fault may affect. `chance` is seeded."""

    site: Site
    load: Load
    watchers: list[Watcher]
    chance: random.Random

    @property
    def devices(self) -> Sequence[str]:
        return list(self.load.sent)

    async def flow(self, count: int = WARM_READINGS) -> None:
        """Wait until the writer has accepted `count` more readings of each device."""
        target = {device_id: len(times) + count for device_id, times in self.load.sent.items()}

        async def has_flowed() -> bool:
            return all(len(self.load.sent[device_id]) >= wanted for device_id, wanted in target.items())

        await wait_until_async(has_flowed, f"{count} more readings of each device", deadline_s=60)

    async def all_stored(self) -> None:
        """Wait until all readings accepted so far are in TimescaleDB."""
        wanted = {device_id: len(times) for device_id, times in self.load.sent.items()}

        async def are_stored() -> bool:
            truth = await self.truth()
            return all(len(truth[device_id]) >= count for device_id, count in wanted.items())

        await wait_until_async(are_stored, "every reading stored", deadline_s=60)

    async def settle(self, *, nothing_missing: bool = True) -> None:
        """Stop the load and compare."""
        await self.load.stop()
        await self.all_stored()
        truth = await self.truth()
        for watcher in self.watchers:
            await watcher.complete(self.load.sent)
            assert_record_is_truth(watcher, truth, nothing_missing=nothing_missing)

    async def truth(self) -> dict[str, list[int]]:
        return {device_id: await asyncio.to_thread(self.site.stored, device_id) for device_id in self.devices}


@asynccontextmanager
async def drama(site: Site, person: Person, devices: Sequence[str], seed: int) -> AsyncIterator[Drama]:
    """A load on `devices` with four watchers: all devices, one device, one metric, no history at the start."""
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        load = await stack.enter_async_context(Load(site, devices, chance=chance))
        act = Drama(site, load, [], chance)
        await act.flow()
        for watcher in [
            Watcher(site.url, person.token, devices),
            Watcher(site.url, person.token, devices[:1]),
            Watcher(site.url, person.token, devices[1:], metrics=["grid_power"]),
            Watcher(site.url, person.token, devices[-1:], from_now=True),
        ]:
            act.watchers.append(await stack.enter_async_context(watcher))
        await act.flow()
        yield act
