"""Growth: views with 1, 10 and 100 times the data, frames with more sockets, start and access with more users.

The data grows in two ways: more devices with the same history, and one device with a longer history. All data is
synthetic and loaded by COPY into temporary databases. A size that does not fit on the disk is skipped, and the result
says so.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from bench.fanout.round import Load, delivery
from bench.fanout.servers import rings_fill, wattstream
from bench.fanout.sockets import open_files_raise
from bench.installation import SERVE
from bench.loads.accounts import accounts_create
from bench.loads.growth_accounts import AccountsRow, accounts_grow
from bench.loads.http_load import load
from bench.measure.cpu import cpu_seconds
from bench.report import results
from bench.report.picture import Curves, curves
from bench.stack import FOLDER, BenchStack, bench_stack, history_load
from testing.process import Process

VIEWS = ("10m", "1h", "24h", "7d", "30d", "1y")
FRESH = FOLDER.with_name("bench-growth")
LONG = "growth_long"
CONNECTIONS = 4
DAY_ROWS = 86_400
ROW_BYTES = 250  # measured: includes index, tiers and write-ahead log
RESERVED_BYTES = 5e9
RATE = 4_000
WATCHERS = 10


@dataclass
class ViewRow:
    """A view of one device: `times` the data, `rows` in the table. CPU in ms per request."""

    times: int
    rows: int
    gigabytes: float
    device: str
    view: str
    p50_ms: float
    server_cpu_ms: float
    database_cpu_ms: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=2, help="days of history at factor 1 (default: 2)")
    parser.add_argument("--times", metavar="A,B", default="1,10,100", help="factors of the data (default: %(default)s)")
    parser.add_argument(
        "--sockets", metavar="A,B", default="10,100,1000,5000", help="numbers of sockets (default: %(default)s)"
    )
    parser.add_argument(
        "--users",
        metavar="A,B",
        default="100,1000,10000,100000",
        help="numbers of users and devices (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of a round (default: 2)")
    parser.add_argument("--no-save", action="store_true", help="do not write bench/results")


async def run(options: argparse.Namespace) -> None:
    open_files_raise()
    told = results.about()
    left_out: list[str] = []
    with bench_stack(devices=_devices(_numbers(options.times)), folder=FRESH, is_kept=False) as stack:
        views = [row async for row in _views(stack, options, left_out)]
        frames = [row async for row in _frames(stack, options)]
        accounts = [row async for row in accounts_grow(stack, _numbers(options.users), options.seconds)]
    data = {
        "days": options.days,
        "left_out": left_out,
        "views": [asdict(row) for row in views],
        "frames": frames,
        "accounts": [asdict(row) for row in accounts],
    }
    _print(views, frames, accounts, left_out)
    if not options.no_save:
        results.save("growth", told, data)
        _draw(views, frames, accounts)


def _numbers(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(",") if part)


def _devices(times: list[int]) -> list[str]:
    return [LONG, *(f"growth_{number:05}" for number in range(max(times, default=1)))]


def _progress(what: str) -> None:
    print(f"\r{what:<100}", end="", file=sys.stderr, flush=True)


async def _views(stack: BenchStack, options: argparse.Namespace, left_out: list[str]) -> AsyncIterator[ViewRow]:
    """Load more data and measure all views, for each size in order."""
    many = _devices(_numbers(options.times))[1:]
    with stack.server("growth", SERVE, "/livez") as server:
        for times in _numbers(options.times):
            rows = 2 * times * options.days * DAY_ROWS
            need, free = rows * ROW_BYTES, shutil.disk_usage(FRESH).free - RESERVED_BYTES
            if need > free:
                left_out.append(f"{times} times: {rows:,} rows need {need / 1e9:.0f} GB, {free / 1e9:.0f} GB are free")
                print(f"left out: {left_out[-1]}", file=sys.stderr)
                continue
            _progress(f"loading {rows:,} rows")
            history_load(stack.env, options.days * times, [LONG])
            history_load(stack.env, options.days, many[:times])
            size = _gigabytes(stack)
            for device in (many[0], LONG):
                for view in VIEWS:
                    _progress(f"{times} times the data: {view} of {device}")
                    yield await _view(stack, server, device, view, options, (times, rows, size))


async def _view(
    stack: BenchStack, server: Process, device: str, view: str, options: argparse.Namespace, at: tuple[int, int, float]
) -> ViewRow:
    """Measure one view.

    The requests of the four connections differ: the server answers identical ones with one query.
    """
    paths = [f"/api/history/{device}?range={view}&max_points={720 + number}" for number in range(CONNECTIONS)]
    headers = {"Authorization": f"Bearer {stack.token}"}
    await load(server.port, paths, headers, seconds=options.seconds / 4)
    before = cpu_seconds([server.pid]), stack.database_cpu()
    found = await load(server.port, paths, headers, seconds=options.seconds)
    after = cpu_seconds([server.pid]), stack.database_cpu()
    server_ms, database_ms = (1000 * (b - a) / len(found.latencies_s) for a, b in zip(before, after, strict=True))
    return ViewRow(*at, "longer" if device == LONG else "more", view, found.percentile_ms(0.5), server_ms, database_ms)


def _gigabytes(stack: BenchStack) -> float:
    """Return the size of the telemetry database, after VACUUM ANALYZE."""
    with psycopg.connect(stack.env["TELEMETRY_ADMIN_URL"], autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return float(row[0]) / 1e9


async def _frames(stack: BenchStack, options: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    """Measure a constant number of frames per second to a growing number of sockets, ten sockets per device."""
    server = wattstream(stack)
    counts = _numbers(options.sockets)
    devices = [f"frames_{number:05}" for number in range(max(1, max(counts, default=0) // WATCHERS))]
    accounts_create(stack.env, devices)
    rings_fill(stack, devices)
    with server.process(stack) as process:
        for sockets in counts:
            _progress(f"{sockets:,} sockets")
            offered = Load(f"{sockets:,}", sockets, 1, RATE)
            chosen = devices[: max(1, sockets // WATCHERS)]
            row = await delivery(server, process, offered, chosen, seconds=2 * options.seconds, redis=stack.redis)
            yield {"sockets": sockets, **asdict(row)}


def _print(
    views: list[ViewRow], frames: list[dict[str, Any]], accounts: list[AccountsRow], left_out: list[str]
) -> None:
    print(
        f"\r{'view':<8}{'grown by':<16}{'times':>7}{'rows':>14}{'GB':>7}"
        f"{'p50 ms':>9}{'server ms':>11}{'database ms':>13}"
    )
    for row in sorted(views, key=lambda row: (VIEWS.index(row.view), row.device, row.times)):
        grown = "more devices" if row.device == "more" else "longer history"
        print(
            f"{row.view:<8}{grown:<16}{row.times:>7}{row.rows:>14,}{row.gigabytes:>7.2f}{row.p50_ms:>9.2f}"
            f"{row.server_cpu_ms:>11.3f}{row.database_cpu_ms:>13.3f}"
        )
    print(f"\n{'sockets':>8}{'µs per frame':>13}{'p99 ms':>9}{'lost':>6}")
    for frame in frames:
        print(f"{frame['sockets']:>8,}{frame['cpu_us']:>13.1f}{frame['p99_ms']:>9.2f}{frame['lost']:>6}")
    print(f"\n{'users':>8}{'start s':>9}{'MB':>7}{'access µs':>11}{'token µs':>10}{'devices ms':>12}")
    for account in accounts:
        print(
            f"{account.users:>8,}{account.start_s:>9.2f}{account.megabytes:>7.0f}{account.access_us:>11.0f}"
            f"{account.token_us:>10.0f}{account.devices_ms:>12.2f}"
        )
    for line in left_out:
        print(f"left out: {line}")


def _draw(views: list[ViewRow], frames: list[dict[str, Any]], accounts: list[AccountsRow]) -> None:
    drawn = {}
    for device, name in (("more", "more devices"), ("longer", "longer history")):
        lines = {}
        for view in VIEWS:
            rows = [row for row in views if (row.view, row.device) == (view, device)]
            lines[view] = [row.rows for row in rows], [row.server_cpu_ms + row.database_cpu_ms for row in rows]
        drawn[f"A view, {name}"] = Curves("rows in the table", "CPU ms per request", lines, log="x")
    line = [frame["sockets"] for frame in frames], [frame["cpu_us"] for frame in frames]
    drawn["A delivered frame"] = Curves("sockets", "CPU µs", {"frame": line}, log="x")
    users = [row.users for row in accounts]
    checks = {
        "access": (users, [row.access_us for row in accounts]),
        "token": (users, [row.token_us for row in accounts]),
    }
    drawn["A check that is not cached"] = Curves("users, and as many devices", "µs", checks, log="x")
    start = {"start": (users, [row.start_s for row in accounts])}
    drawn["Start to first answer"] = Curves("users, and as many devices", "s", start, log="x")
    curves(results.picture("growth"), title="Growth", panels=drawn, columns=2)
