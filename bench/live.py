"""Live: CPU per delivered frame, latency from publish to socket, memory per idle socket, beside brokers and tutorials.

All servers are measured in one run. The rounds alternate between the servers, so that other work on the machine
affects all of them. Compare ratios, not absolute numbers.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from bench.fanout.report import FanoutReport
from bench.fanout.round import Delivery, Load, delivery, memory
from bench.fanout.servers import Server, rings_fill, servers
from bench.fanout.sockets import open_files_raise
from bench.report.results import about
from bench.stack import BenchStack, bench_stack
from testing.process import Process

DEVICES = tuple(f"bench_{number:02}" for number in range(50))
SOCKETS = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--servers", metavar="A,B", help="servers to measure (default: all; an unknown name lists them)"
    )
    parser.add_argument(
        "--rates", metavar="A,B", default="4000,10000", help="deliveries per second (default: %(default)s)"
    )
    parser.add_argument("--watched", metavar="A,B", default="1,20", help="devices per socket (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="duration of a round (default: 6)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per server and load (default: 3)")
    parser.add_argument(
        "--idle", type=int, default=5_000, help="idle sockets; 0 skips the memory measurement (default: 5000)"
    )
    parser.add_argument("--no-save", action="store_true", help="do not write bench/results")


async def run(options: argparse.Namespace) -> None:
    open_files_raise()
    told = about()
    with bench_stack(devices=DEVICES) as stack:
        chosen = _chosen(servers(stack), options.servers)
        rings_fill(stack, DEVICES)
        report = FanoutReport(_loads(options))
        with ExitStack() as cleanup:
            processes = {server: cleanup.enter_context(server.process(stack)) for server in chosen}
            for load in report.loads:
                for rounds in await _measure(stack, processes, load, options):
                    report.add(rounds)
        for server in chosen if options.idle else []:
            _progress(f"memory of {options.idle} idle sockets", server)
            report.memories.append(await memory(server, stack, DEVICES, sockets=options.idle))
    print("\r", end="", file=sys.stderr)
    report.print()
    if not options.no_save:
        report.save(told)


def _loads(options: argparse.Namespace) -> list[Load]:
    """Return the loads.

    With many devices per socket, they report evenly spread, or in bursts, as with synchronised clocks.
    """
    rates = [int(rate) for rate in options.rates.split(",")]
    loads = []
    for watched in map(int, options.watched.split(",")):
        if watched == 1:
            loads += [Load(f"one device per socket, {rate:,}/s", SOCKETS, 1, rate) for rate in rates]
        else:
            name, most = f"{watched} devices per socket, {max(rates):,}/s", max(rates)
            loads.append(Load(f"{name}, together", SOCKETS, watched, most, burst=len(DEVICES)))
            loads.append(Load(f"{name}, spread", SOCKETS, watched, most))
    return loads


async def _measure(
    stack: BenchStack, processes: dict[Server, Process], load: Load, options: argparse.Namespace
) -> list[list[Delivery]]:
    rounds: dict[str, list[Delivery]] = {server.key: [] for server in processes}
    for number in range(options.rounds):
        for server, process in processes.items():
            if any(row.is_drowned for row in rounds[server.key]):
                continue  # one overloaded round is enough: its sockets take minutes to connect again
            _progress(f"{load.name}, round {number + 1} of {options.rounds}", server)
            row = await delivery(server, process, load, DEVICES, seconds=options.seconds, redis=stack.redis)
            rounds[server.key].append(row)
    return list(rounds.values())


def _progress(what: str, server: Server) -> None:
    print(f"\r{what + '  ' + server.title:<90}", end="", file=sys.stderr, flush=True)


def _chosen(known: list[Server], keys: str | None) -> list[Server]:
    wanted = keys.split(",") if keys else [server.key for server in known]
    names = {server.key: server for server in known}
    for key in wanted:
        if key not in names:
            raise SystemExit(f"bench live: unknown server {key!r}; the servers are {', '.join(names)}")
    return [names[key] for key in wanted]
