"""All: repeat every published measurement in sequence and rewrite docs/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from bench.stack import ROOT

STOP_DEADLINE_S = 60
# Approximate duration in minutes on two idle cores, so that users can plan.
MEASUREMENTS: dict[str, float] = {"history": 5, "live": 9, "load": 7, "capacity": 15, "growth": 5}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--soak-minutes", type=float, default=60.0, help="(default: 60; 0 for no soak)")
    parser.add_argument(
        "--only", metavar="A,B", help=f"measurements to run: {', '.join(MEASUREMENTS)}, soak (default: all)"
    )


async def run(options: argparse.Namespace) -> None:
    wanted = options.only.split(",") if options.only else [*MEASUREMENTS, "soak"]
    commands = [[name] for name in MEASUREMENTS if name in wanted]
    if "soak" in wanted and options.soak_minutes:
        commands.append(["soak", "--minutes", str(options.soak_minutes)])
    minutes = sum(MEASUREMENTS.get(name, options.soak_minutes) for name, *_ in commands)
    print(f"{len(commands)} measurements, about {minutes:.0f} minutes", file=sys.stderr)
    bad = [command for command in [*commands, ["report"]] if not await _succeeds(command)]
    if bad:
        raise SystemExit("bench all: failed: " + "; ".join(" ".join(command) for command in bad))


async def _succeeds(command: Sequence[str]) -> bool:
    """Run the command in a separate process, so that no measurement inherits another's memory.

    Return whether it exits with 0.
    """
    print(f"\n=== {' '.join(command)}", file=sys.stderr, flush=True)
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench", *command, cwd=ROOT)
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:  # Ctrl-C also reached the child: let it stop its processes
            await asyncio.wait_for(process.wait(), STOP_DEADLINE_S)
    print(f"=== {' '.join(command)}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return code == 0
