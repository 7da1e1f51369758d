"""Load: realistic dashboards (locust) on a whole site: throughput, latency, lost and duplicated readings.

This command runs everything: databases, history by COPY, writer, simulated houses at 1 Hz, servers. It samples the
usage of each part once per second. The dashboards: bench/loads/locustfile.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bench.fanout.sockets import open_files_raise
from bench.installation import Installation, installation, stored
from bench.loads.accounts import PASSWORD, accounts_create
from bench.measure.monitor import Monitor
from bench.report import results
from bench.report.picture import Curves, curves
from bench.stack import DEVICES, FOLDER, ROOT, bench_stack
from telemetry.times import SECOND_US

STOP_DEADLINE_S = 60
MINUTE_S = 60
NEVER = ("lost reading", "doubled reading", "unknown reading", "not compared")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users", type=int, default=100, help="dashboards (default: 100)")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="duration after all dashboards have started (default: 5)"
    )
    parser.add_argument("--spawn", type=float, default=5.0, help="dashboards started per second (default: 5)")
    parser.add_argument("--devices", type=int, default=20, help="simulated houses; each user sees 3 (default: 20)")
    parser.add_argument("--days", type=int, default=30, help="days of history for three of the houses (default: 30)")
    parser.add_argument(
        "--servers", type=int, default=1, help="server processes; users are spread over them (default: 1)"
    )
    parser.add_argument("--no-save", action="store_true", help="do not write bench/results")


async def run(options: argparse.Namespace) -> None:
    open_files_raise()
    told = results.about()
    devices = [*DEVICES, *(f"house_{number:04}" for number in range(options.devices - len(DEVICES)))]
    with bench_stack(days=options.days, devices=DEVICES) as stack:
        accounts_create(stack.env, devices, viewers=options.users)
        with installation(stack, servers=options.servers) as site:
            async with _houses(site, devices):
                begun_us = time.time_ns() // 1000
                data = await _locust(site, options)
                ended_us = time.time_ns() // 1000
            data["holes_in_the_store"] = _holes(stored(stack.env, begun_us, devices), begun_us, ended_us)
    _print(data)
    if not options.no_save:
        results.save("load", told, {"users": options.users, "devices": len(devices), **data})
        _draw(data)
    if any(data[name.replace(" ", "_")] for name in NEVER):
        raise SystemExit("bench load: readings were lost, duplicated or received but never stored")


@asynccontextmanager
async def _process(command: Sequence[str], env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process and end it with SIGTERM on exit at the latest."""
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=dict(env))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_DEADLINE_S)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def _houses(site: Installation, devices: Sequence[str]) -> AsyncIterator[None]:
    """Run the simulator. Enter when the newest row of each house is current."""
    named = [argument for device in devices for argument in ("--device", device)]
    command = [sys.executable, "-m", "simulator", "run", "--url", site.writer.url, *named]
    async with _process(command, site.stack.env):
        deadline = time.monotonic() + STOP_DEADLINE_S
        since_us = time.time_ns() // 1000
        while not all(stored(site.stack.env, since_us, devices).values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the simulator has not caught up within {STOP_DEADLINE_S} s")
            await asyncio.sleep(1)
        yield


async def _locust(site: Installation, options: argparse.Namespace) -> dict[str, Any]:
    """Run locust beside a monitor. Return its statistics and the usage of each part."""
    out = FOLDER / "locust.json"
    out.unlink(missing_ok=True)
    env = {**os.environ, "BENCH_USERS": str(options.users), "BENCH_PASSWORD": PASSWORD, "BENCH_OUT": str(out)}
    hosts = ",".join(server.url for server in site.servers)
    seconds = round(options.minutes * MINUTE_S + options.users / options.spawn)
    command = [
        sys.executable, "-m", "locust", "-f", "bench/loads/locustfile.py", "--headless", "--only-summary",
        "-u", str(options.users), "-r", str(options.spawn), "-t", f"{seconds}s",
        "--stop-timeout", "120", "--exit-code-on-error", "0", "--host", site.servers[0].url,
    ]  # fmt: skip
    print(f"{options.users} dashboards for {seconds} s", file=sys.stderr)
    async with (
        _process(command, {**env, "BENCH_HOSTS": hosts}) as locust,
        Monitor(lambda: {**site.parts(), "generator": [locust.pid]}) as monitor,
    ):
        code = await locust.wait()
    if code or not out.exists():
        raise SystemExit(f"bench load: locust ended with {code}; see its output above")
    told = json.loads(out.read_text())
    failed = {entry["name"]: entry["failures"] for entry in told["entries"]}
    never = {name.replace(" ", "_"): failed.get(name, 0) for name in NEVER}
    return {"seconds_run": seconds, **told, **never, "course": monitor.data()}


def _holes(truth: Mapping[str, Sequence[int]], begun_us: int, ended_us: int) -> int:
    """Return the seconds of the run without a row, summed over the houses: losses of the simulator or the writer."""
    expected = range(-(-begun_us // SECOND_US), ended_us // SECOND_US)
    return sum(len(set(expected) - {us // SECOND_US for us in times}) for times in truth.values())


def _print(data: Mapping[str, Any]) -> None:
    print(f"\n{'':<22}{'count':>9}{'per s':>9}{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}{'max ms':>9}{'failed':>8}")
    for row in sorted(data["entries"], key=lambda row: (row["kind"] == "live", row["name"])):
        print(
            f"{row['name']:<22}{row['count']:>9,}{row['per_second']:>9.1f}{row['p50_ms']:>9.1f}{row['p90_ms']:>9.1f}"
            f"{row['p99_ms']:>9.1f}{row['max_ms']:>9.1f}{row['failures']:>8}"
        )
    for error in data["errors"]:
        print(f"{error['occurrences']} × {error['method']} {error['name']}: {error['error']}")
    print(f"\n{'':<14}{'cores':>8}{'peak':>7}{'MB first':>10}{'last':>8}{'peak':>8}")
    for name, part in data["course"]["parts"].items():
        print(
            f"{name:<14}{part['cores_mean']:>8.2f}{part['cores_peak']:>7.2f}{part['megabytes_first']:>10.0f}"
            f"{part['megabytes_last']:>8.0f}{part['megabytes_peak']:>8.0f}"
        )
    print(
        f"\nreadings lost: {data['lost_reading']}, doubled: {data['doubled_reading']},"
        f" given but not stored: {data['unknown_reading']}, devices not compared:"
        f" {data['not_compared']}; seconds missing in the store: {data['holes_in_the_store']}"
    )


def _draw(data: Mapping[str, Any]) -> None:
    course = data["course"]
    drawn = {
        name: Curves("s", unit, {part: (course["seconds"], values) for part, values in course[key].items()})
        for name, unit, key in (("CPU", "cores", "cores"), ("Memory", "MB", "megabytes"))
    }
    curves(results.picture("load"), title=f"{data['seconds_run']} s of dashboards", panels=drawn)
