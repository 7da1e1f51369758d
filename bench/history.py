"""History: requests per second, latency and CPU of each view, beside the textbook version and one without checks.

All servers are measured in one run on the same database. The rounds alternate between the servers, so that other work
on the machine affects all of them. Compare ratios, not absolute numbers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from bench.loads.http_load import load
from bench.measure.cpu import cpu_seconds
from bench.report import results
from bench.report.picture import bars
from bench.stack import DEVICES, BenchStack, bench_stack
from testing.process import Process

VIEWS = ("10m", "24h", "30d", "1y")
WATTSTREAM, TEXTBOOK, BARE = "wattstream", "textbook Django", "Starlette + asyncpg, no checks"
SHARED = "wattstream, identical requests"


@dataclass
class Row:
    """The median round. CPU in ms per request."""

    server: str
    view: str
    per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    database_cpu_ms: float
    kilobytes: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=30, help="days of history for each of three devices (default: 30)")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a round (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per server and view (default: 3)")
    parser.add_argument("--connections", type=int, default=8, help="concurrent connections (default: 8)")


async def run(options: argparse.Namespace) -> None:
    told = results.about()
    with bench_stack(days=options.days) as stack, ExitStack() as cleanup:
        servers = {name: cleanup.enter_context(server) for name, server in _servers(stack)}
        servers[SHARED] = servers[WATTSTREAM]
        rows = [row for view in VIEWS for row in await _measure(stack, servers, view, options)]
    _print(rows)
    results.save("history", told, {"rows": [asdict(row) for row in rows]})
    values = {server: [row.per_second for row in rows if row.server == server] for server in servers}
    bars(results.picture("history"), title="History: requests per second (one process)", groups=VIEWS, values=values)


def _servers(stack: BenchStack) -> Iterator[tuple[str, Process]]:
    uvicorn = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log",
               "--loop", "uvloop", "--http", "httptools", "--log-level", "warning"]  # fmt: skip
    ours = [sys.executable, "-m", "asgi_project.server.serve", "--port", "{port}"]
    yield WATTSTREAM, stack.server("wattstream", ours, "/livez")
    textbook = [*uvicorn, "bench.peers.textbook.asgi:application"]
    yield TEXTBOOK, stack.server("textbook", textbook, "/livez")
    yield BARE, stack.server("bare", [*uvicorn, "bench.peers.bare:application"], "/livez")


def _paths(server: str, view: str, connections: int) -> list[str]:
    """Return one path per connection.

    wattstream answers identical requests with one query, so the paths differ in max_points, which selects the same
    buckets; for `SHARED` they are identical.
    """
    prefix = "/history" if server in (TEXTBOOK, BARE) else "/api/history"
    points = [720 if server == SHARED else 720 + number for number in range(connections)]
    return [f"{prefix}/{DEVICES[0]}?range={view}&max_points={most}" for most in points]


async def _measure(stack: BenchStack, servers: dict[str, Process], view: str, options: argparse.Namespace) -> list[Row]:
    rounds: dict[str, list[Row]] = {name: [] for name in servers}
    for number in range(options.rounds + 1):
        for name, server in servers.items():
            print(f"\r{view:>4}  round {number}  {name:<40}", end="", file=sys.stderr, flush=True)
            row = await _round(stack, server, name, view, options)
            if number:  # the first round warms up
                rounds[name].append(row)
    return [sorted(of, key=lambda row: row.per_second)[len(of) // 2] for of in rounds.values()]


async def _round(stack: BenchStack, server: Process, name: str, view: str, options: argparse.Namespace) -> Row:
    headers = {"Authorization": f"Bearer {stack.token}"}
    before = cpu_seconds([server.pid]), stack.database_cpu()
    paths = _paths(name, view, options.connections)
    result = await load(server.port, paths, headers, seconds=options.seconds)
    after = cpu_seconds([server.pid]), stack.database_cpu()
    count = len(result.latencies_s)
    return Row(
        name, view, result.per_second, result.percentile_ms(0.5), result.percentile_ms(0.99),
        1000 * (after[0] - before[0]) / count, 1000 * (after[1] - before[1]) / count, result.bytes / 1000,
    )  # fmt: skip


def _print(rows: list[Row]) -> None:
    heads = f"{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'server CPU':>12}{'database CPU':>14}{'kB':>7}"
    print(f"\r{'view':<6}{'server':<34}{heads}")
    for row in rows:
        print(
            f"{row.view:<6}{row.server:<34}{row.per_second:>9.1f}{row.p50_ms:>9.2f}{row.p99_ms:>9.2f}"
            f"{row.server_cpu_ms:>9.2f} ms{row.database_cpu_ms:>11.2f} ms{row.kilobytes:>7.0f}"
        )
    found = {(row.server, row.view): row for row in rows}
    for view in ("24h", "30d"):
        ours, textbook, bare = (found[name, view].per_second for name in (WATTSTREAM, TEXTBOOK, BARE))
        print(f"{view}: {ours / textbook:.1f} times the textbook's throughput, {ours / bare:.2f} times the bare peer's")
    ours_30d, ours_10m = found[WATTSTREAM, "30d"], found[WATTSTREAM, "10m"]
    month, minutes = (row.server_cpu_ms + row.database_cpu_ms for row in (ours_30d, ours_10m))
    database = found[TEXTBOOK, "30d"].database_cpu_ms / max(ours_30d.database_cpu_ms, 0.001)
    print(f"30d costs {month / minutes:.2f} times the CPU of 10m")
    print(f"30d: its database time is 1/{database:.0f} of raw time_bucket")
