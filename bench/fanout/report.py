"""Report of a run of the live benchmark: table, ratios, JSON, chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.fanout.round import Delivery, Load, Memory
from bench.report import results
from bench.report.picture import panels

OURS, BROKER, STOCK = "wattstream", "Mosquitto (C)", "Channels, core layer"


@dataclass
class FanoutReport:
    """The median round per load and server, and the memory per idle socket."""

    loads: Sequence[Load]
    deliveries: list[Delivery] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)

    def add(self, rounds: Iterable[Delivery]) -> None:
        """Keep the median round by CPU. Losses and maximum latency are those of all rounds."""
        of = sorted(rounds, key=lambda row: row.cpu_us)
        told = asdict(of[len(of) // 2])
        told["max_ms"] = max(row.max_ms for row in of)
        for name in ("lost", "twice", "expected"):
            told[name] = sum(getattr(row, name) for row in of)
        self.deliveries.append(Delivery(**told))

    def print(self) -> None:
        for load in self.loads:
            rows = [row for row in self.deliveries if row.load == load.name]
            if rows:
                print(f"\n{load.name}")
                print(
                    f"{'':<24}{'CPU µs':>8}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'lost':>8}{'frames/s':>10}"
                    f"{'Redis µs':>10}{'generator µs':>14}"
                )
            for row in rows:
                print(
                    f"{row.server:<24}{row.cpu_us:>8.1f}{row.p50_ms:>9.2f}{row.p99_ms:>9.2f}{row.max_ms:>9.1f}"
                    f"{row.lost / row.expected:>8.1%}{row.per_second:>10,.0f}{row.redis_cpu_us:>10.1f}"
                    f"{row.generator_cpu_us:>14.1f}"
                )
        if self.memories:
            print(f"\n{'memory per idle socket':<24}{'kB':>8}")
        for found in self.memories:
            print(f"{found.server:<24}{found.kilobytes:>8.1f}   ({found.sockets:,} sockets)")
        print()
        for line in self.ratios():
            print(line)

    def ratios(self) -> Iterable[str]:
        cpu = {(row.server, row.load): row.cpu_us for row in self.deliveries}
        for load in self.loads:
            ours = cpu.get((OURS, load.name))
            for other in (BROKER, STOCK):
                theirs = cpu.get((other, load.name))
                if ours and theirs:
                    yield f"{load.name}: {ours / theirs:.2f} of the CPU of {other}, or {theirs / ours:.1f} times less"

    def save(self, about: Mapping[str, Any]) -> None:
        data = {
            "deliveries": [asdict(row) for row in self.deliveries],
            "memory": [asdict(row) for row in self.memories],
            "ratios": list(self.ratios()),
        }
        results.save("live", about, data)
        if self.deliveries:
            self._draw(results.picture("live"))

    def _draw(self, path: Path) -> None:
        drawn: dict[str, dict[str, float]] = {}
        for load in self.loads:
            rows = [row for row in self.deliveries if row.load == load.name]
            drawn[f"µs of CPU per frame, {load.name}"] = {row.server: row.cpu_us for row in rows}
        drawn["kB per idle socket"] = {found.server: found.kilobytes for found in self.memories}
        panels(path, title="Live: cost of a delivered frame", measures={k: v for k, v in drawn.items() if v})
