"""Capacity: the limits of this machine for dashboards, history requests beside them, devices, and all of them together.

Each load is open loop: it is offered on a fixed schedule for some seconds, however slow the responses are. The load
doubles until a limit is missed; a binary search then narrows the difference. Afterwards twice the capacity is offered,
and directly after that the capacity again: this shows the behaviour beyond capacity and the recovery. The generator
runs on the same machine; each step shows its share of the CPU.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.fanout.servers import rings_fill, wattstream
from bench.fanout.sockets import open_files_raise
from bench.installation import installation
from bench.loads.accounts import accounts_create
from bench.measure.probes import (
    HISTORY_P99_MS,
    INGEST_P99_MS,
    P99_MS,
    DashboardProbe,
    HistoryProbe,
    SiteProbe,
    WriterProbe,
)
from bench.measure.step import LoadStep, Probe, Stage
from bench.report import results
from bench.report.picture import Curves, curves
from bench.stack import FOLDER, BenchStack, bench_stack

BATCH, WATCHED, WATCHERS, HOUSEHOLD = 10, 5, 10, 3
STAGES = {  # initial loads are estimates for two cores
    "dashboards": ("Dashboards, each with its own device", "dashboards", 2_000),
    "shared": (f"Dashboards of {WATCHED} devices, {WATCHERS} dashboards per device", "dashboards", 1_000),
    "history": ("History requests beside half of these dashboards", "requests/s", 100),
    "writer": ("Devices that send single readings", "devices", 500),
    "batches": (f"Devices that send {BATCH} readings at a time", "devices", 2_000),
    "site": (f"Everything at once, {HOUSEHOLD} dashboards per device", "dashboards", 1_000),
}
READING = {"dashboards", "shared", "history"}
BESIDE_UNMEASURED = 1_000
HALF = 0.5
MOST_DEVICES = 200_000
FILES_KEPT = 1_500  # open files of a process that are reserved for everything but dashboards
EPHEMERAL_PORTS = 27_000
SOCKETS = {"dashboards", "shared", "site"}
LIMITS_MS = {
    "dashboards": P99_MS, "shared": P99_MS, "history": HISTORY_P99_MS,
    "writer": INGEST_P99_MS, "batches": INGEST_P99_MS, "site": P99_MS,
}  # fmt: skip
FRESH = FOLDER.with_name("bench-capacity")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ",".join(STAGES)
    parser.add_argument("--stages", metavar="A,B", default=names, help="stages to run (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="duration of a step, without connecting (default: 5)"
    )
    parser.add_argument("--days", type=int, default=30, help="days of history for the history stage (default: 30)")
    parser.add_argument(
        "--most", type=int, default=MOST_DEVICES, help="upper limit of every load (default: %(default)s)"
    )
    parser.add_argument("--start", type=int, help="the first load of each stage (default: an estimate for two cores)")
    parser.add_argument("--attempts", type=int, default=2, help="attempts until a step counts as failed (default: 2)")
    parser.add_argument("--no-save", action="store_true", help="do not write bench/results")


async def run(options: argparse.Namespace) -> None:
    wanted = options.stages.split(",")
    if unknown := [name for name in wanted if name not in STAGES]:
        raise SystemExit(f"bench capacity: unknown stage {unknown[0]!r}; the stages are {', '.join(STAGES)}")
    open_files_raise()
    told = results.about()
    stages: list[Stage] = []
    watched = [f"load_{number:06}" for number in range(_most_sockets(options))]
    if READING & set(wanted):
        with bench_stack(days=options.days if "history" in wanted else 0) as stack:
            accounts_create(stack.env, watched)
            rings_fill(stack, watched)
            stages += [stage async for stage in _reading(stack, watched, wanted, options)]
    if set(wanted) - READING:
        with bench_stack(devices=watched, folder=FRESH, is_kept=False) as stack:
            stages += [stage async for stage in _writing(stack, watched, wanted, options)]
    for stage in stages:
        _print(stage)
    if not options.no_save:
        _save(told, stages)


async def _reading(
    stack: BenchStack, devices: Sequence[str], wanted: Sequence[str], options: argparse.Namespace
) -> AsyncIterator[Stage]:
    """Search on one server process. The probes publish readings to Redis directly."""
    server = wattstream(stack)
    with server.process(stack) as process:
        own = DashboardProbe(stack, server, process, devices, options.seconds)
        shared = DashboardProbe(stack, server, process, devices, options.seconds, WATCHED, WATCHERS)
        dashboards = results.capacity_found("dashboards")
        if "dashboards" in wanted:
            yield (stage := await _searched("dashboards", own, options))
            dashboards = stage.found
        if "shared" in wanted:
            yield await _searched("shared", shared, options)
        if "history" in wanted:
            half = round(HALF * dashboards) or BESIDE_UNMEASURED
            yield await _searched("history", HistoryProbe(own, min(half, len(devices))), options)


async def _writing(
    stack: BenchStack, watched: Sequence[str], wanted: Sequence[str], options: argparse.Namespace
) -> AsyncIterator[Stage]:
    """Search on a whole site with temporary databases. Only `watched` devices have an owner."""
    devices = [f"device_{number:06}" for number in range(options.most)]
    with installation(stack) as site:
        probes: dict[str, Probe] = {
            "writer": WriterProbe(site, devices, options.seconds),
            "batches": WriterProbe(site, devices, options.seconds, BATCH),
            "site": SiteProbe(site, watched, options.seconds, HOUSEHOLD),
        }
        for key, probe in probes.items():
            if key in wanted:
                yield await _searched(key, probe, options)


async def _searched(key: str, probe: Probe, options: argparse.Namespace) -> Stage:
    title, unit, start = STAGES[key]
    most = _most_sockets(options) if key in SOCKETS else options.most
    stage = Stage(key, title, unit, most)
    await stage.search(probe, start=options.start or start, attempts=options.attempts)
    return stage


def _most_sockets(options: argparse.Namespace) -> int:
    """Return the limit for dashboards: the generator and the server each need one open file per dashboard."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return int(min(options.most, EPHEMERAL_PORTS, hard - FILES_KEPT))


def _save(told: Mapping[str, Any], stages: Sequence[Stage]) -> None:
    """Save the stages beside those of earlier runs. Each stage states the run that it comes from."""
    found = {stage.key: {"about": told, **asdict(stage)} for stage in stages}
    earlier = (results.read("capacity") or {}).get("stages", {})
    everything = {key: found.get(key) or earlier[key] for key in STAGES if key in found or key in earlier}
    results.save("capacity", told, {"stages": everything})
    _draw(everything.values())


def _print(stage: Stage) -> None:
    print(f"\n{stage.title}: {stage.found:,} {stage.unit}")
    print(f"{'':<14}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'lost':>7}{'doubled':>9}{'named':>8}{'refused':>9}  cores")
    for step in sorted(stage.steps, key=lambda step: step.load):
        _print_step(f"{step.load:,}", step)
    for name, beyond in (("twice", stage.twice), ("then again", stage.after)):
        if beyond is not None:
            _print_step(name, beyond)


def _print_step(name: str, step: LoadStep) -> None:
    cores = ", ".join(f"{part} {share:.2f}" for part, share in step.cores.items())
    print(
        f"{name:<14}{step.p50_ms:>9.1f}{step.p99_ms:>9.1f}{step.max_ms:>9.1f}{step.lost:>7}{step.doubled:>9}"
        f"{step.named:>8}{step.refused:>9}  {cores}  {'; '.join(step.missed)}"
    )


def _draw(stages: Iterable[Mapping[str, Any]]) -> None:
    drawn = {}
    for stage in stages:
        offered = [*stage["steps"], *([stage["twice"]] if stage["twice"] else [])]
        steps = sorted(offered, key=lambda step: int(step["load"]))
        line = [step["load"] for step in steps], [step["p99_ms"] for step in steps]
        name = f"{stage['title']}: {stage['found']:,}"
        drawn[name] = Curves(stage["unit"], "p99 ms", {"p99": line}, log="xy", limit=LIMITS_MS[stage["key"]])
    curves(results.picture("capacity"), title="Latency against load, up to twice the capacity", panels=drawn)
