"""Soak: a crowd of dashboards at 70 % of the capacity, with the faults of tests/chaos, for the requested time.

Devices report to the writer, dashboards follow them with cursors, and faults run one after the other: databases are
killed and paused, connections are cut, servers are killed and frozen. At the end, the readings of every dashboard are
compared with the stored ones. Memory and latency are sampled once per second.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import redis

from bench.fanout.sockets import open_files_raise
from bench.installation import stored
from bench.loads.accounts import accounts_create
from bench.loads.crowd import Crowd, Verdict
from bench.loads.devices import Fleet, missing
from bench.measure.monitor import Monitor
from bench.measure.probes import share_of
from bench.report import results
from bench.report.picture import Curves, curves
from bench.stack import FOLDER, UNLIMITED, postmaster_pid, redis_pid, settings_in
from testing.proxy import ProxyProcess
from testing.stack import manage

if TYPE_CHECKING:
    from tests.chaos.site import Site

SHARE = 0.7
WITHOUT_CAPACITY = 300
WATCHERS = 3  # per device, as in the site stage of the capacity search
WARM_UP_S = 2.0
DRAIN_S = 120.0
AFTER_FAULT_S = 15.0
MINUTE_S = 60
ERRORS = (
    AssertionError, OSError, EOFError, TimeoutError, subprocess.SubprocessError, httpx.HTTPError, psycopg.Error,
    redis.RedisError,
)  # fmt: skip


@dataclass
class Faults:
    """The faults with their start and end (seconds since the beginning), and the failed rounds."""

    begun: float = field(default_factory=time.monotonic)
    played: list[dict[str, Any]] = field(default_factory=list)
    rounds: int = 0
    failures: list[str] = field(default_factory=list)

    def watched(self, fault: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(fault)
        async def played(act: Any) -> None:
            begun = time.monotonic() - self.begun
            try:
                await fault(act)
            finally:
                ended = time.monotonic() - self.begun
                self.played.append({"fault": fault.__name__, "from_s": round(begun, 1), "to_s": round(ended, 1)})

        return played

    def is_calm(self, second: float) -> bool:
        return not any(fault["from_s"] <= second <= fault["to_s"] + AFTER_FAULT_S for fault in self.played)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=60.0, help="duration (default: 60)")
    parser.add_argument(
        "--dashboards", type=int, help="number of dashboards (default: 70 %% of what ./scripts/bench capacity found)"
    )
    parser.add_argument("--calm", type=float, default=30.0, help="seconds between rounds of faults (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the faults (default: 1)")
    parser.add_argument("--no-save", action="store_true", help="do not write bench/results")


async def run(options: argparse.Namespace) -> None:
    open_files_raise()
    told = results.about()
    dashboards = options.dashboards or _seventy_percent()
    devices = [f"soak_{number:05}" for number in range(max(1, dashboards // WATCHERS))]
    print(f"{len(devices)} devices, {len(devices) * WATCHERS} dashboards, {options.minutes:g} minutes", file=sys.stderr)
    with _site() as site:
        data = await _soak(site, devices, options)
    _print(data)
    if not options.no_save:
        results.save("soak", told, data)
        _draw(data)
    if not data["is_clean"]:
        raise SystemExit("bench soak: readings were lost or rounds failed, see above")


def _seventy_percent() -> int:
    return round(SHARE * results.capacity_found("site")) or WITHOUT_CAPACITY


@contextmanager
def _site() -> Iterator[Site]:
    """Run the site of tests/chaos with temporary accounts; remove it at the end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = FOLDER.with_name("bench-soak")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    env = {**settings_in(folder), **UNLIMITED, "STATIC_ROOT": str(folder / "static")}
    os.environ.update(env)  # the chaos tests create accounts in this process
    _django_setup()
    manage(env, "migrate", "--verbosity", "0")
    from tests.chaos.site import Site

    site = Site(env, folder, ProxyProcess)
    try:
        site.heal()
        yield site
    finally:
        site.close()
        shutil.rmtree(folder, ignore_errors=True)


def _django_setup() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
    django.setup()


async def _soak(site: Site, devices: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    token = await asyncio.to_thread(accounts_create, {**os.environ, **site.env}, devices)
    fleet = Fleet(site.writer.port, site.env["INGEST_SECRET"], devices, is_stubborn=True)
    since_us = time.time_ns() // 1000
    await fleet.report(WARM_UP_S)  # gives each device a ring
    seconds = options.minutes * MINUTE_S
    async with Crowd([server.port for server in site.servers], token, devices, watchers=WATCHERS) as crowd:
        crowd.take_latencies_ms()
        faults = Faults()
        async with Monitor(_SiteParts(site), functools.partial(_second, crowd)) as monitor:
            reporting = asyncio.create_task(fleet.report(seconds))
            async with _playing(site, faults, options):
                await reporting
        site.heal()
        truth = await _truth(site, fleet, since_us)
        verdict = await crowd.complete(truth, deadline_s=DRAIN_S)
    lost, _ = missing(fleet.accepted, truth)
    return _data(monitor, faults, verdict, lost, fleet, options)


def _second(crowd: Crowd) -> Mapping[str, float]:
    latencies = crowd.take_latencies_ms()
    return {
        "p50_ms": share_of(latencies, 0.5),
        "p99_ms": share_of(latencies, 0.99),
        "frames": len(latencies),
        "connected": crowd.connected,
    }


@asynccontextmanager
async def _playing(site: Site, faults: Faults, options: argparse.Namespace) -> AsyncIterator[None]:
    """Play rounds of faults until the context exits; the last round is completed."""
    from testing.cast import person_create
    from tests.chaos import test_soak

    person = await asyncio.to_thread(person_create, f"soak_{random.randrange(10**9)}", base_url=site.url)
    test_soak.FAULTS[:] = [faults.watched(fault) for fault in test_soak.FAULTS]
    ends = time.monotonic() + options.minutes * MINUTE_S

    async def play() -> None:
        while time.monotonic() < ends:
            await asyncio.sleep(min(options.calm, max(0.0, ends - time.monotonic())))
            if time.monotonic() < ends:
                await _round(site, person, options.seed + faults.rounds, faults)

    playing = asyncio.create_task(play())
    try:
        yield
        await playing
    finally:
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
        person.http.close()


async def _round(site: Site, person: Any, seed: int, faults: Faults) -> None:
    from tests.chaos.test_soak import one_round

    faults.rounds += 1
    try:
        await one_round(site, person, seed)
    except ERRORS as error:
        faults.failures.append(f"seed {seed}: {type(error).__name__}: {str(error)[:500]}")
        print(f"soak: {faults.failures[-1]}", file=sys.stderr)
        site.heal()
    print(f"soak: {faults.rounds} rounds, {len(faults.failures)} failed", file=sys.stderr, flush=True)


class _SiteParts:
    """Process ids by part. Killed databases return as other processes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._found: dict[str, int] = {}

    def __call__(self) -> Mapping[str, Sequence[int]]:
        servers = {f"server {number}": [server.pid] for number, server in enumerate(self._site.servers, 1)}
        databases = {"TimescaleDB": postmaster_pid, "Redis": redis_pid}
        found = {name: self._pid(name, ask) for name, ask in databases.items()}
        proxies = [proxy.pid for proxy in self._site.proxies if isinstance(proxy, ProxyProcess)]
        ours = {"generator": [os.getpid()], "proxies": proxies}
        return {**servers, "writer": [self._site.writer.pid], **found, **ours}

    def _pid(self, name: str, ask: Callable[[dict[str, str]], int]) -> list[int]:
        known = self._found.get(name)
        if known is None or not Path(f"/proc/{known}").exists():
            try:
                self._found[name] = ask(self._site.env)
            except (psycopg.Error, redis.RedisError, OSError):
                return []
        return [self._found[name]]


async def _truth(site: Site, fleet: Fleet, since_us: int) -> dict[str, list[int]]:
    """Return the stored times by device, once all accepted readings are stored or after `DRAIN_S`."""
    deadline = time.monotonic() + DRAIN_S
    while True:
        truth = await asyncio.to_thread(stored, site.env, since_us, fleet.devices)
        if sum(map(len, truth.values())) >= fleet.accepted_readings or time.monotonic() > deadline:
            return truth
        await asyncio.sleep(1)


def _data(
    monitor: Monitor, faults: Faults, verdict: Verdict, lost: int, fleet: Fleet, options: argparse.Namespace
) -> dict[str, Any]:
    calm = [
        p99
        for second, p99 in zip(monitor.seconds, monitor.also.get("p99_ms", []), strict=True)
        if faults.is_calm(second) and p99 == p99
    ]
    quarter = max(1, len(calm) // 4)
    return {
        "minutes": options.minutes,
        "devices": len(fleet.devices),
        "dashboards": len(fleet.devices) * WATCHERS,
        "readings": fleet.accepted_readings,
        "sent_again": fleet.again,
        "lost_before_the_store": lost,
        "verdict": asdict(verdict),
        "rounds": faults.rounds,
        "failures": faults.failures,
        "faults": faults.played,
        "calm_seconds": len(calm),
        "calm_p99_ms_first": round(share_of(sorted(calm[:quarter]), 0.5), 2) if calm else None,
        "calm_p99_ms_last": round(share_of(sorted(calm[-quarter:]), 0.5), 2) if calm else None,
        "is_clean": not (lost or verdict.lost or verdict.doubled or faults.failures),
        "course": monitor.data(),
    }


def _print(data: Mapping[str, Any]) -> None:
    verdict = data["verdict"]
    print(
        f"\n{data['readings']:,} readings of {data['devices']} devices stored, {data['lost_before_the_store']} lost"
        f" before; {verdict['owed']:,} owed to {data['dashboards']} dashboards: {verdict['given']:,} given,"
        f" {verdict['lost']} lost, {verdict['doubled']} doubled, {verdict['named']} named as missing;"
        f" {verdict['reconnects']:,} reconnects, {len(data['faults'])} faults in {data['rounds']} rounds"
    )
    print(f"p99 of a calm second: {data['calm_p99_ms_first']} ms first, {data['calm_p99_ms_last']} ms last")
    for name, part in data["course"]["parts"].items():
        print(
            f"{name:<20}{part['cores_mean']:>6.2f} cores, MB {part['megabytes_first']:.0f} first,"
            f" {part['megabytes_last']:.0f} last, {part['megabytes_peak']:.0f} peak"
        )
    for failure in data["failures"]:
        print(failure)


def _draw(data: Mapping[str, Any]) -> None:
    course, marked = data["course"], [fault["from_s"] / MINUTE_S for fault in data["faults"]]
    minutes = [second / MINUTE_S for second in course["seconds"]]
    latency = {name: (minutes, course[key]) for name, key in (("p50", "p50_ms"), ("p99", "p99_ms"))}
    memory = {name: (minutes, values) for name, values in course["megabytes"].items()}
    cpu = {name: (minutes, values) for name, values in course["cores"].items()}
    drawn = {
        "Latency, device to dashboard (each line marks a fault)": Curves("minutes", "ms", latency, marked=marked),
        "Memory": Curves("minutes", "MB", memory, marked=marked),
        "CPU": Curves("minutes", "cores", cpu),
        "Dashboards connected": Curves("minutes", "", {"connected": (minutes, course["connected"])}, marked=marked),
    }
    curves(results.picture("soak"), title=f"{data['minutes']:g} minutes with faults", panels=drawn)
