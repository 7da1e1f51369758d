"""`python -m simulator`: simulated houses, as history (`load`) and live (`run`)."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time

import psycopg

from simulator.feed import Feed
from simulator.fill import Filler, Span
from simulator.noise import DAY_S
from telemetry.catalogue import CatalogueError, catalogue_load
from telemetry.env import VariableError, read_database, read_secret
from telemetry.keys import MIN_SECRET_LENGTH
from telemetry.names import DEVICE_ID_RULE, is_device_id
from telemetry.times import SECOND_US, TIME_RULE, us_from_text

ABOUT = """\
Simulated houses with sun, load, battery and grid. A device id identifies a house. A second of a house always has
the same reading, whether it is loaded as history or sent live.

  load   fill the hypertable with history, one reading per second; another run loads only the missing readings
  run    send one reading per second to a running writer, starting after the newest stored row"""
BAR_WIDTH = 30


def main() -> int:
    """Parse the arguments and run the requested action. Returns the exit code."""
    options = parse_arguments()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        return load(options) if options.action == "load" else run(options)
    except (VariableError, CatalogueError, PermissionError) as error:
        print(error, file=sys.stderr)
    except psycopg.errors.UniqueViolation:
        print("another process is writing the same readings; stop it, or run this again after it ends", file=sys.stderr)
    except psycopg.Error as error:
        print(f"the telemetry database failed: {' '.join(str(error).split())}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted; run it again to continue", file=sys.stderr)
    return 1


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m simulator", description=ABOUT, formatter_class=raw)
    actions = parser.add_subparsers(dest="action", required=True)
    load_parser = actions.add_parser("load", help="load history into the database of TELEMETRY_ADMIN_URL")
    load_parser.add_argument("--days", type=_days, default=30, help="days of history (default: %(default)s)")
    load_parser.add_argument("--until", type=_moment, metavar="ISO", help="end of the history (default: now)")
    run_parser = actions.add_parser(
        "run", help="send live readings to a writer; requires INGEST_SECRET and TELEMETRY_ADMIN_URL"
    )
    run_parser.add_argument("--url", default="http://127.0.0.1:8001", help="URL of the writer (default: %(default)s)")
    for action in (load_parser, run_parser):
        action.add_argument("--device", action="append", required=True, type=_device, help="a device id; repeatable")
    return parser.parse_args()


def load(options: argparse.Namespace) -> int:
    """Fill [until - days, until) and print the speed."""
    until_s = options.until if options.until is not None else int(time.time())
    span: Span = (until_s - options.days * DAY_S, until_s)
    progress = LoadProgress()
    filler = Filler(read_database(os.environ, "TELEMETRY_ADMIN_URL"), catalogue_load(), progress.advance)
    work = {device_id: filler.missing(device_id, span) for device_id in dict.fromkeys(options.device)}
    progress.begin(sum(end - start for spans in work.values() for start, end in spans))
    filler.fill(work)
    progress.end()
    return 0


def run(options: argparse.Namespace) -> int:
    """Send readings to the writer until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    key_secret = read_secret(os.environ, "INGEST_SECRET", MIN_SECRET_LENGTH)
    database = read_database(os.environ, "TELEMETRY_ADMIN_URL")
    Feed(options.url, key_secret, database, catalogue_load(), list(dict.fromkeys(options.device))).run(stop)
    return 0


class LoadProgress:
    """A progress bar with rows and rows per second on standard error. If that is not a terminal, only the last line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._started = 0.0

    def begin(self, total: int) -> None:
        """Start. `total`: number of rows to load."""
        self._total, self._started = total, time.monotonic()

    def advance(self, rows: int) -> None:
        """Add loaded rows. Thread-safe."""
        with self._lock:
            self._done += rows
            if sys.stderr.isatty():
                filled = BAR_WIDTH * self._done // self._total
                bar = "█" * filled + "░" * (BAR_WIDTH - filled)
                print(f"\r{bar} {self._line()}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Print the last line."""
        if not self._total:
            print("nothing to load: all readings are stored", file=sys.stderr)
        else:
            print(f"{chr(10) if sys.stderr.isatty() else ''}loaded {self._line()}", file=sys.stderr)

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        return f"{self._done:,} of {self._total:,} readings, {self._done / seconds:,.0f} per second"


def _device(text: str) -> str:
    if not is_device_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not {DEVICE_ID_RULE}")
    return text


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 3650")
    return int(text)


def _moment(text: str) -> int:
    try:
        return us_from_text(text) // SECOND_US
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {TIME_RULE}") from None


if __name__ == "__main__":
    raise SystemExit(main())
