"""Start the production server: bring the accounts database up to date, gather static files, serve."""

from __future__ import annotations

import argparse
import os
import sys

import django
import uvicorn
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError


def main() -> None:
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
    try:
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
    except ImproperlyConfigured as error:
        sys.exit(f"serve: {error}")
    except OperationalError as error:
        sys.exit(f"serve: the accounts database (DATABASE_URL) cannot be used: {error}")
    serve(host=options.host, port=options.port)


def serve(*, host: str, port: int) -> None:
    """Run uvicorn until a signal stops it. Why uvicorn: docs/decisions/001-server.md."""
    from django.conf import settings

    uvicorn.run(
        "asgi_project.asgi:application",
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=settings.LIVE_FRAME_MAX_BYTES,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=settings.SHUTDOWN_GRACE_S,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
