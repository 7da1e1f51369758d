"""`python -m writer`: the writer as one process, configured by the environment."""

from __future__ import annotations

import argparse
import logging.config
import os
import signal
import sys

import uvicorn

from telemetry.catalogue import CatalogueError, catalogue_load
from telemetry.env import VariableError
from telemetry.logs import logging_config
from writer.settings import settings_from

ABOUT = """\
Take readings from devices over HTTP (POST /ingest) and websockets (/ws/device/ID), store them in TimescaleDB and
publish them through Redis. SIGTERM or Ctrl-C stores what is queued, then ends.

environment:
  TELEMETRY_ADMIN_URL, REDIS_URL   addresses; ./scripts/services env prints those of this checkout
  INGEST_SECRET                    the secret from which device keys are derived, at least 32 characters
  LOG_LEVEL, LOG_FORMAT            the level and the form (line or json) of the log on standard error
  TELEMETRY_CATALOGUE              a list of metrics instead of telemetry/catalogue.toml
  WRITER_…                         limits, see .env.example"""
MAX_MESSAGE_BYTES = 64 * 1024
# For open requests at shutdown. The queue has its own grace period, WRITER_GRACE_S, after that.
REQUESTS_GRACE_S = 3


logger = logging.getLogger("writer")


def main() -> int:
    """Check the environment, then serve until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="python -m writer", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8001, help="port to listen on (default: %(default)s)")
    options = parser.parse_args()
    try:
        settings = settings_from(os.environ)
        catalogue_load()
    except (VariableError, CatalogueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        return 1
    logging.config.dictConfig(logging_config(settings.log_format, settings.log_level))
    logger.info("taking readings on http://%s:%s", options.host, options.port)
    serve(options.host, options.port)
    return 0


def serve(host: str, port: int) -> None:
    """Run uvicorn in this process. There is only one, because it keeps the readings of a device in order."""
    # After its shutdown, uvicorn raises the signal again; a requested end is a success.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        "writer.main:app",
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=REQUESTS_GRACE_S,
    )


if __name__ == "__main__":
    raise SystemExit(main())
