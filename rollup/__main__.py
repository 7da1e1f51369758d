"""`python -m rollup`: the rollup as a separate process, for a hypertable that another program writes."""

from __future__ import annotations

import argparse
import asyncio
import logging.config
import os
import signal
import sys
from datetime import UTC, datetime

import psycopg

from rollup.engine import CONNECT_TIMEOUT_S
from rollup.runner import Rollup, RollupSettings, settings_from
from telemetry.catalogue import Catalogue, CatalogueError, catalogue_load
from telemetry.changes import log_everything_statement
from telemetry.env import VariableError
from telemetry.logs import FORMATS, logging_config

ABOUT = """\
Keep the rollup tiers and the energy tiers up to date: rebuild the buckets that the change log names, newest day first.
The writer does this too; several rollups share the work. SIGTERM or Ctrl-C ends it at once and loses nothing: what was
not committed is still in the log. A backfill shows the days of devices that remain and the rate.

environment:
  TELEMETRY_ADMIN_URL           the database and the role that owns it; apply the schema first (telemetry_schema)
  TELEMETRY_CATALOGUE           another list of metrics than telemetry/catalogue.toml
  ROLLUP_POLL_MS                pause after a round that found nothing more to do (default: 2000)
  ROLLUP_SETTLE_MS              how long a minute must be over before it is rolled up (default: 3000)
  ROLLUP_STATEMENT_TIMEOUT_MS   the longest that a statement may take (default: 120000)
  LOG_LEVEL, LOG_FORMAT         what is logged to standard error, and how: line or json"""

log = logging.getLogger("rollup")


def main() -> int:
    """Check the environment, then roll up until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="python -m rollup", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="end when nothing is due")
    parser.add_argument(
        "--rebuild", nargs="?", const="-infinity", metavar="SINCE",
        help="first log every device and day, or those from a day (ISO 8601, UTC) on, so that all is built again",
    )  # fmt: skip
    options = parser.parse_args()
    try:
        settings, catalogue = settings_from(os.environ), catalogue_load()
        since = _since(options.rebuild)
    except (VariableError, CatalogueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        return 1
    log_format = os.environ.get("LOG_FORMAT") or "line"
    if log_format not in FORMATS:
        log_format = "line"
    logging.config.dictConfig(logging_config(log_format, os.environ.get("LOG_LEVEL") or "INFO"))
    if since is not None:
        try:
            rebuild(settings, catalogue, since)
        except psycopg.Error as error:
            log.error("the readings were not logged: %s", " ".join(str(error).split()))
            return 1
    return asyncio.run(_serve(Rollup(settings, catalogue), once=options.once))


def rebuild(settings: RollupSettings, catalogue: Catalogue, since: str) -> None:
    """Log every device and day from `since` on. Raises psycopg.Error."""
    with psycopg.connect(settings.telemetry_admin_url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute("SELECT set_config('statement_timeout', %s, false)", [str(settings.statement_timeout_ms)])
        logged = connection.execute(log_everything_statement(catalogue, since)).rowcount
    log.info("%d days of devices are to be built again", logged)


async def _serve(rollup: Rollup, *, once: bool) -> int:
    task = asyncio.create_task(rollup.run(once=once))
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, task.cancel)
    await asyncio.wait([task])
    progress = rollup.progress
    done = f"{progress.days} days of devices and {progress.readings} readings were rolled up"
    if once and not task.cancelled():
        print(f"{done}; nothing more is due")  # noqa: T201 - for the person who started it
    else:
        log.info(done)
    if task.cancelled():
        return 0
    task.result()
    return 0


def _since(text: str | None) -> str | None:
    if text is None or text == "-infinity":
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise VariableError(f"--rebuild: {text!r} is not an ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


if __name__ == "__main__":
    raise SystemExit(main())
