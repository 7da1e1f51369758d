"""Sample CPU and memory of each part of a site once per second."""

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
Parts = Callable[[], Mapping[str, Sequence[int]]]  # process ids by part, without their children


@dataclass
class Course:
    """Usage of a part: `cores` (1.0: one busy core) and `megabytes`, one entry per sample."""

    cores: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Return mean and peak of the cores; means of the first and last tenth of the memory, and its peak."""
        tenth = max(1, len(self.megabytes) // 10)
        return {
            "cores_mean": _mean(self.cores),
            "cores_peak": max(self.cores, default=0.0),
            "megabytes_first": _mean(self.megabytes[:tenth]),
            "megabytes_last": _mean(self.megabytes[-tenth:]),
            "megabytes_peak": max(self.megabytes, default=0.0),
        }


class Monitor:
    """Sample `parts` once per second while open. `also` adds values of the measurement to each sample."""

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
        """Return JSON data: the summary of each part, and at most `KEPT` points per line (means over some seconds)."""
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
                # The seconds of a replaced process are gone: the difference may be negative.
                course.cores.append(max(0.0, now[name] - before.get(name, now[name])) / (moment - looked_at))
                course.megabytes.append(_memory(pids) / MEGABYTE)
            for name, value in self._also().items():
                self.also.setdefault(name, []).append(value)
            self.seconds.append(moment - self._begun)
            before, looked_at = now, moment

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pids) for name, pids in self._families().items()}

    def _families(self) -> dict[str, list[int]]:
        """Return process ids by part, including children. A part started by another part counts for itself only."""
        parts = self._parts()
        named = {pid for pids in parts.values() for pid in pids}
        return {
            name: [member for pid in pids for member in with_children(pid, without=named)]
            for name, pids in parts.items()
        }


def thinned(values: Sequence[float], kept: int = KEPT) -> list[float | None]:
    """Return at most `kept` means of neighbouring values; None for a group without a finite value."""
    step = -(-len(values) // kept) or 1
    groups = ([v for v in values[at : at + step] if math.isfinite(v)] for at in range(0, len(values), step))
    return [round(_mean(group), 3) if group else None for group in groups]


def rounded(numbers: Mapping[str, float], digits: int = 3) -> dict[str, float]:
    return {name: round(number, digits) for name, number in numbers.items()}


def _memory(pids: Sequence[int]) -> float:
    """Return the private memory of all processes and the largest shared part: TimescaleDB's buffers count once."""
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
