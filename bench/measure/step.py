"""The result of one offered load, and the search over loads."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Protocol

from bench.measure.search import highest


@dataclass
class LoadStep:
    """The result of one load. `missed`: the missed limits, empty if the load was carried.

    `lost`: not delivered, not refused and not reported; `named`: not delivered, but reported to the client.
    """

    load: int
    missed: list[str] = field(default_factory=list)
    per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    lost: int = 0
    doubled: int = 0
    named: int = 0
    refused: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)
    also: dict[str, float] = field(default_factory=dict)

    @property
    def is_carried(self) -> bool:
        return not self.missed

    def expect(self, is_met: bool, what: str) -> None:
        if not is_met:
            self.missed.append(what)


class Probe(Protocol):
    """Offers a load and returns the result."""

    async def __call__(self, load: int) -> LoadStep: ...


@dataclass
class Stage:
    """A search up to `most`.

    `found`: the highest carried load. Steps beyond: `twice` that, then `after`: `found` again.
    """

    key: str
    title: str
    unit: str
    most: int
    found: int = 0
    steps: list[LoadStep] = field(default_factory=list)
    twice: LoadStep | None = None
    after: LoadStep | None = None

    async def search(self, probe: Probe, *, start: int, attempts: int) -> None:
        async def passes(load: int) -> bool:
            self.steps.append(await self._probed(probe, load))
            return self.steps[-1].is_carried

        self.found = await highest(passes, start=start, most=self.most, attempts=attempts)
        if self.found:
            self.twice = await self._probed(probe, min(2 * self.found, self.most))
            self.after = await self._probed(probe, self.found)

    async def _probed(self, probe: Probe, load: int) -> LoadStep:
        try:
            step = await probe(load)
        except TimeoutError:
            step = LoadStep(load, missed=["all sockets accepted in time"])
        said = "carried" if step.is_carried else "missed: " + ", ".join(step.missed)
        print(f"{self.title}: {load:,} {self.unit}, p99 {step.p99_ms:.1f} ms, {said}", file=sys.stderr, flush=True)
        return step
