"""./scripts/bench: run a measurement."""

from __future__ import annotations

import argparse
import sys

import uvloop

from bench import capacity, everything, growth, history, live, load, rollup, soak
from bench.report import page

BENCHES = {
    "history": history,
    "live": live,
    "load": load,
    "capacity": capacity,
    "growth": growth,
    "rollup": rollup,
    "soak": soak,
    "all": everything,
    "report": page,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure wattstream and its peers in the same run."
    )
    parser.add_argument("--list", action="store_true", help="name the measurements")
    commands = parser.add_subparsers(dest="bench")
    for name, module in BENCHES.items():
        summary = (module.__doc__ or "").strip().splitlines()[0].replace("%", "%%")
        module.add_arguments(
            commands.add_parser(name, help=summary, description=(module.__doc__ or "").replace("%", "%%"))
        )
    options = parser.parse_args()
    if options.bench is None:
        parser.print_help()
        return 0 if options.list else 2
    try:
        uvloop.run(BENCHES[options.bench].run(options))
    except KeyboardInterrupt:
        print("interrupted; all processes are stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
