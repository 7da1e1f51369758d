"""History: requests per second, latency and CPU of each view, beside the textbook version and one without checks.

All servers are measured in one run on the same database. The rounds alternate between views and servers, so that other
work on the machine affects all of them. Compare ratios, not absolute numbers. Meanwhile the devices report once per
second to a writer with its rollup, so that the 10 min view is full and the newest minutes are not in the tiers yet.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from bench.installation import SERVE, WRITE
from bench.loads.http_load import load
from bench.measure.cpu import cpu_seconds
from bench.report import results
from bench.report.picture import bars
from bench.stack import DEVICES, ROOT, BenchStack, bench_stack, history_load
from simulator.feed import Feed
from telemetry.catalogue import catalogue_load
from telemetry.times import iso_from_us
from testing.process import Process

VIEWS = ("10m", "1h", "6h", "24h", "7d", "30d", "90d", "1y")
ENERGY = {
    "energy 31 d": "period=day&range=31d",
    "energy 12 mo": "period=month&range=1y",
    "energy 31 d, Berlin": "period=day&range=31d&tz=Europe/Berlin",
}
# The peers take seconds for the longer views.
PEER_VIEWS = ("10m", "24h", "30d", "1y")
LIMIT = 1.5  # times the CPU of the first view
FEED_STOP_S = 15
WATTSTREAM, TEXTBOOK, BARE = "wattstream", "textbook Django", "Starlette + asyncpg, no checks"
SHARED = "wattstream, identical requests"


@dataclass
class Row:
    """The round with the median CPU. CPU in ms per request."""

    server: str
    view: str
    per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    database_cpu_ms: float
    kilobytes: float

    @property
    def cpu_ms(self) -> float:
        return self.server_cpu_ms + self.database_cpu_ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=30, help="days of history for each of three devices (default: 30)")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a round (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per server and view (default: 3)")
    parser.add_argument("--without-peers", action="store_true", help="measure wattstream only and save nothing")
    parser.add_argument("--connections", type=int, default=8, help="concurrent connections (default: 8)")


async def run(options: argparse.Namespace) -> None:
    told = results.about()
    with bench_stack(days=options.days) as stack, _live(stack, options.days), ExitStack() as cleanup:
        servers = {name: cleanup.enter_context(server) for name, server in _servers(stack, options.without_peers)}
        if not options.without_peers:
            servers[SHARED] = servers[WATTSTREAM]
        rows = await _measure(stack, servers, options)
    _print(rows)
    if options.without_peers:
        return
    results.save("history", told, {"rows": [asdict(row) for row in rows]})
    compared = [row for row in rows if row.view in PEER_VIEWS]
    values = {server: [row.per_second for row in compared if row.server == server] for server in servers}
    title = "History: requests per second (one process)"
    bars(results.picture("history"), title=title, groups=PEER_VIEWS, values=values)


@contextmanager
def _live(stack: BenchStack, days: int) -> Iterator[None]:
    """Roll up what is stored, fill the time that this took, then report live until the end."""
    subprocess.run([sys.executable, "-m", "rollup", "--once"], cwd=ROOT, env=stack.env, check=True)
    history_load(stack.env, days, DEVICES)
    stop = threading.Event()
    with stack.server("writer", WRITE, "/livez") as writer:
        url, secret, database_url = writer.url, stack.env["INGEST_SECRET"], stack.env["TELEMETRY_ADMIN_URL"]
        feed = Feed(url, secret, database_url, catalogue_load(), list(DEVICES))
        thread = threading.Thread(target=feed.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(FEED_STOP_S)


def _servers(stack: BenchStack, is_alone: bool) -> Iterator[tuple[str, Process]]:
    yield WATTSTREAM, stack.server("wattstream", SERVE, "/livez")
    if is_alone:
        return
    uvicorn = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log",
               "--loop", "uvloop", "--http", "httptools", "--log-level", "warning"]  # fmt: skip
    textbook = [*uvicorn, "bench.peers.textbook.asgi:application"]
    yield TEXTBOOK, stack.server("textbook", textbook, "/livez")
    yield BARE, stack.server("bare", [*uvicorn, "bench.peers.bare:application"], "/livez")


def _paths(server: str, view: str, connections: int) -> list[str]:
    """Return one path per connection.

    wattstream answers identical requests with one query, so the paths differ in max_points, which selects the same
    buckets; for `SHARED` they are identical. Those of energy differ in the end, by a microsecond.
    """
    if view in ENERGY:
        now = time.time_ns() // 1000
        ends = [iso_from_us(now + number) for number in range(connections)]
        return [f"/api/energy/{DEVICES[0]}?{ENERGY[view]}&end={end}" for end in ends]
    points = [720 if server == SHARED else 720 + number for number in range(connections)]
    prefix = "/history" if server in (TEXTBOOK, BARE) else "/api/history"
    return [f"{prefix}/{DEVICES[0]}?range={view}&max_points={most}" for most in points]


async def _measure(stack: BenchStack, servers: dict[str, Process], options: argparse.Namespace) -> list[Row]:
    pairs = [(view, name) for view in (*VIEWS, *ENERGY) for name in servers if name == WATTSTREAM or view in PEER_VIEWS]
    rounds: dict[tuple[str, str], list[Row]] = {pair: [] for pair in pairs}
    for number in range(options.rounds + 1):
        for view, name in pairs:
            print(f"\rround {number}  {view:<20}{name:<40}", end="", file=sys.stderr, flush=True)
            row = await _round(stack, servers[name], name, view, options)
            if number:  # the first round warms up
                rounds[view, name].append(row)
    return [sorted(of, key=lambda row: row.cpu_ms)[len(of) // 2] for of in rounds.values()]


async def _round(stack: BenchStack, server: Process, name: str, view: str, options: argparse.Namespace) -> Row:
    headers = {"Authorization": f"Bearer {stack.token}"}
    before = cpu_seconds([server.pid]), stack.reader_cpu()
    paths = _paths(name, view, options.connections)
    result = await load(server.port, paths, headers, seconds=options.seconds)
    after = cpu_seconds([server.pid]), stack.reader_cpu()
    count = len(result.latencies_s)
    return Row(
        name, view, result.per_second, result.percentile_ms(0.5), result.percentile_ms(0.99),
        1000 * (after[0] - before[0]) / count, 1000 * (after[1] - before[1]) / count, result.bytes / 1000,
    )  # fmt: skip


def _print(rows: list[Row]) -> None:
    heads = f"{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'server CPU':>12}{'database CPU':>14}{'kB':>7}{'CPU / 10m':>11}"
    print(f"\r{'view':<21}{'server':<34}{heads}")
    found = {(row.server, row.view): row for row in rows}
    least = found[WATTSTREAM, VIEWS[0]].cpu_ms
    for row in rows:
        ratio = f"{row.cpu_ms / least:>11.2f}" if row.server == WATTSTREAM else ""
        print(
            f"{row.view:<21}{row.server:<34}{row.per_second:>9.1f}{row.p50_ms:>9.2f}{row.p99_ms:>9.2f}"
            f"{row.server_cpu_ms:>9.2f} ms{row.database_cpu_ms:>11.2f} ms{row.kilobytes:>7.0f}{ratio}"
        )
    above = [row.view for row in rows if row.server == WATTSTREAM and row.cpu_ms > LIMIT * least]
    print(f"more than {LIMIT} times the CPU of {VIEWS[0]}: {', '.join(above) or 'none'}")
    if (TEXTBOOK, "30d") in found:
        _compare(found)


def _compare(found: dict[tuple[str, str], Row]) -> None:
    for view in ("24h", "30d"):
        ours, textbook, bare = (found[name, view].per_second for name in (WATTSTREAM, TEXTBOOK, BARE))
        print(f"{view}: {ours / textbook:.1f} times the textbook's throughput, {ours / bare:.2f} times the bare peer's")
    database = found[TEXTBOOK, "30d"].database_cpu_ms / max(found[WATTSTREAM, "30d"].database_cpu_ms, 0.001)
    print(f"30d: its database time is 1/{database:.0f} of raw time_bucket")
