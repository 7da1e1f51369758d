"""CPU and memory of each part of a site, once a second, while something else happens."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.measure.cpu import PAGE_BYTES, cpu_seconds, with_children

PERIOD_S = 1.0
MEGABYTE = 1e6
KEPT = 300
Parts = Callable[[], Mapping[str, Sequence[int]]]  # process ids of each part's processes, without their children


@dataclass
class Course:
    """What a part took: `cores` (1.0 is one core busy) and `megabytes`, one entry for each of the monitor's seconds."""

    cores: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Means of the cores, the first and last tenth of the memory, and its peak."""
        tenth = max(1, len(self.megabytes) // 10)
        return {
            "cores_mean": _mean(self.cores),
            "cores_peak": max(self.cores, default=0.0),
            "megabytes_first": _mean(self.megabytes[:tenth]),
            "megabytes_last": _mean(self.megabytes[-tenth:]),
            "megabytes_peak": max(self.megabytes, default=0.0),
        }


class Monitor:
    """While open, looks at `parts` once a second. `also` adds numbers of the measurement itself to each second."""

    def __init__(self, parts: Parts, also: Callable[[], Mapping[str, float]] = dict) -> None:
        self.courses: dict[str, Course] = {}
        self.seconds: list[float] = []
        self.also: dict[str, list[float]] = {}
        self._parts = parts
        self._also = also
        self._begun = time.monotonic()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def data(self) -> dict[str, Any]:
        """For JSON: the summary of each part, and `KEPT` points of each line, which are means over some seconds."""
        return {
            "parts": {name: rounded(course.summary()) for name, course in self.courses.items()},
            "seconds": thinned(self.seconds),
            "cores": {name: thinned(course.cores) for name, course in self.courses.items()},
            "megabytes": {name: thinned(course.megabytes) for name, course in self.courses.items()},
            **{name: thinned(values) for name, values in self.also.items()},
        }

    async def _run(self) -> None:
        before, looked_at = self._cpu(), time.monotonic()
        while True:
            await asyncio.sleep(PERIOD_S)
            now, moment = self._cpu(), time.monotonic()
            for name, pids in self._families().items():
                course = self.courses.setdefault(name, Course())
                # A process that was replaced took its seconds along.
                course.cores.append(max(0.0, now[name] - before.get(name, now[name])) / (moment - looked_at))
                course.megabytes.append(_memory(pids) / MEGABYTE)
            for name, value in self._also().items():
                self.also.setdefault(name, []).append(value)
            self.seconds.append(moment - self._begun)
            before, looked_at = now, moment

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pids) for name, pids in self._families().items()}

    def _families(self) -> dict[str, list[int]]:
        """Process ids by part, with their children: a part that another one started is not counted as that one's."""
        parts = self._parts()
        named = {pid for pids in parts.values() for pid in pids}
        return {
            name: [member for pid in pids for member in with_children(pid, without=named)]
            for name, pids in parts.items()
        }


def thinned(values: Sequence[float], kept: int = KEPT) -> list[float | None]:
    """Means of neighbours, `kept` at most; None where there is no number among them."""
    step = -(-len(values) // kept) or 1
    groups = ([v for v in values[at : at + step] if math.isfinite(v)] for at in range(0, len(values), step))
    return [round(_mean(group), 3) if group else None for group in groups]


def rounded(numbers: Mapping[str, float], digits: int = 3) -> dict[str, float]:
    return {name: round(number, digits) for name, number in numbers.items()}


def _memory(pids: Sequence[int]) -> float:
    """What the processes have for themselves, and what they share counted once: the buffers of TimescaleDB."""
    private, shared = 0, 0
    for pid in pids:
        try:
            _, resident, also_others = map(int, Path(f"/proc/{pid}/statm").read_text().split()[:3])
        except (FileNotFoundError, ProcessLookupError):
            continue
        private += resident - also_others
        shared = max(shared, also_others)
    return (private + shared) * PAGE_BYTES


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
