"""Django's settings for the accounts database, and the bound on how long a request waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import dj_database_url
import psycopg
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

ALIAS = "default"
# How long a management command waits for another writer of the SQLite file. Requests wait less: `requests_bound`.
SQLITE_TIMEOUT_S = 20
CONNECT_TIMEOUT_S = 3
# After this long without success the pool stops trying; the next request makes it try again at once.
RECONNECT_TIMEOUT_S = 2.0
RV = TypeVar("RV")


class BoundedConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that is closed when a statement takes longer than `answer_timeout_s`.

    PostgreSQL's own `statement_timeout` has no effect if the server is frozen or the network drops every packet.
    """

    answer_timeout_s: ClassVar[float | None] = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.answer_timeout_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # the result may still arrive and would be read as that of the next statement
            raise


def accounts_database(url: str, *, pool_size: int, pool_timeout_ms: int) -> dict[str, Any]:
    """Django's entry for `url`. SQLite is tuned for many concurrent writers, PostgreSQL gets one pool per process.

    Without a pool every cold request would open a connection, because Django serves each one on a separate thread.
    """
    database: dict[str, Any] = dict(dj_database_url.parse(url))
    options = database.setdefault("OPTIONS", {})
    if database["ENGINE"].endswith("sqlite3"):
        options["transaction_mode"] = "IMMEDIATE"
        options["timeout"] = SQLITE_TIMEOUT_S
        options["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
        return database
    database["CONN_HEALTH_CHECKS"] = True  # the pool does not hand out a dead connection
    options.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    options.setdefault("application_name", f"wattstream accounts {os.getpid()}")
    options["pool"] = {
        "name": "accounts",
        "connection_class": BoundedConnection,
        "min_size": 1,
        "max_size": pool_size,
        "timeout": pool_timeout_ms / 1000,
        "reconnect_timeout": RECONNECT_TIMEOUT_S,
    }
    return database


@contextmanager
def made_private() -> Iterator[None]:
    """Make files that are created meanwhile readable by their owner only: SQLite's contain password hashes."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def requests_bound() -> None:
    """Limit every statement of this process to ACCOUNTS_TIMEOUT_MS. Called by processes that serve requests.

    Management commands, `migrate` above all, are not limited.
    """
    BoundedConnection.answer_timeout_s = settings.ACCOUNTS_TIMEOUT_MS / 1000
    connection_created.connect(_bound_sqlite, dispatch_uid="accounts")


def _bound_sqlite(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {settings.ACCOUNTS_TIMEOUT_MS:d}")


def accounts_close() -> None:
    """Close this thread's connection, and the pool of the process if it has one."""
    connection: Any = connections[ALIAS]
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()
