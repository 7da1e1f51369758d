"""Start the production server: migrate the accounts database, collect static files, serve."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import sys
from contextlib import nullcontext

import django
import uvicorn
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError

from asgi_project.server.workers import metrics_folder
from core.accounts_database import made_private
from core.env import env_list
from telemetry.tracing import TracingError, tracing_check

# How long a worker may take to respond to its parent; also how long it may take to start in a rolling restart.
WORKER_START_TIMEOUT_S = 30
MIGRATION_LOCK = 0x77617474  # arbitrary, but not used for anything else
logger = logging.getLogger(__name__)


def main() -> None:
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
    try:
        forwarders = trusted_forwarders()
        django.setup()
        workers = _workers(options.workers)
        with made_private():
            accounts_migrate()
        call_command("collectstatic", interactive=False, verbosity=0)
    except (ImproperlyConfigured, TracingError) as error:
        sys.exit(f"serve: {error}")
    except OperationalError as error:
        sys.exit(f"serve: the accounts database (DATABASE_URL) cannot be used: {error}")
    serve(host=options.host, port=options.port, forwarders=forwarders, workers=workers)


def accounts_migrate() -> None:
    """Migrate the accounts database. If several servers start at once, the others wait for the first."""
    from django.db import connection

    if connection.vendor != "postgresql":
        call_command("migrate", interactive=False, verbosity=0)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            call_command("migrate", interactive=False, verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])  # the connection returns to a pool


def serve(*, host: str, port: int, forwarders: list[str], workers: int) -> None:
    """Run uvicorn until a signal stops it. Why uvicorn: docs/decisions/001-server.md.

    Only `forwarders` may name the client (X-Forwarded-For, X-Forwarded-Proto). Several workers are processes that share
    the port; this process then only supervises them and replaces those that die.
    """
    from django.conf import settings

    if settings.TLS and not forwarders:
        logger.warning(
            "TLS is 1 and FORWARDED_ALLOW_IPS is empty: no proxy is trusted to say that a request came over TLS, so"
            " pages redirect to https in a loop; name the proxy that terminates TLS"
        )
    logger.info("serving on http://%s:%s with %s worker%s", host, port, workers, "" if workers == 1 else "s")
    with metrics_folder() if workers > 1 else nullcontext():
        uvicorn.run(
            "asgi_project.asgi:application",
            host=host,
            port=port,
            workers=workers,
            timeout_worker_healthcheck=WORKER_START_TIMEOUT_S,
            loop="uvloop",
            lifespan="on",
            http="asgi_project.server.uvicorn:DrainedHttpProtocol",
            ws="asgi_project.server.uvicorn:DirectProtocol",
            ws_max_size=settings.LIVE_FRAME_MAX_BYTES,
            ws_per_message_deflate=False,
            access_log=False,
            log_config=None,
            server_header=False,
            # None by default (uvicorn would trust this whole machine): limits per address depend on it.
            proxy_headers=bool(forwarders),
            forwarded_allow_ips=forwarders,
            timeout_graceful_shutdown=settings.SHUTDOWN_GRACE_S,
        )


def _workers(asked: int | None) -> int:
    """--workers, else SERVER_WORKERS. Raises `ImproperlyConfigured`, `TracingError` for settings with which no worker
    could start: the parent would restart them forever."""
    from django.conf import settings

    tracing_check(settings.OTEL_EXPORTER_OTLP_ENDPOINT)
    if asked is not None and asked < 1:
        raise ImproperlyConfigured(f"--workers is {asked}; accepted is a whole number, at least 1")
    return asked or int(settings.SERVER_WORKERS)


def trusted_forwarders() -> list[str]:
    """FORWARDED_ALLOW_IPS: addresses and networks, or `*` alone. Raises `ImproperlyConfigured`.

    Checked here because uvicorn silently treats an invalid entry as the name of a socket and trusts nobody.
    """
    listed = env_list("FORWARDED_ALLOW_IPS")
    if listed == ["*"]:
        return listed
    for item in listed:
        try:
            ipaddress.ip_network(item)
        except ValueError:
            raise ImproperlyConfigured(
                f"FORWARDED_ALLOW_IPS has {item!r}; accepted are addresses, networks such as 10.0.0.0/24, or * alone"
            ) from None
    return listed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes behind the port (default: SERVER_WORKERS)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
