"""The accounts database as Django opens it, and how long a request waits for it."""

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
# What a management command waits for another writer of the SQLite file. Requests wait less: `requests_bound`.
SQLITE_TIMEOUT_S = 20
CONNECT_TIMEOUT_S = 3
# After this long without success the pool stops trying by itself; the next request makes it try again at once.
RECONNECT_TIMEOUT_S = 2.0
RV = TypeVar("RV")


class BoundedConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that is given up when a statement is not answered within `answer_timeout_s`.

    PostgreSQL's own `statement_timeout` does not help where the server is frozen or the network swallows everything.
    """

    answer_timeout_s: ClassVar[float | None] = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.answer_timeout_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # the answer may still come, and would be taken for that to the next statement
            raise


def accounts_database(url: str, *, pool_size: int, pool_timeout_ms: int) -> dict[str, Any]:
    """Django's entry for `url`. SQLite is tuned for many concurrent writers, PostgreSQL gets a pool a process.

    Without a pool every cold request would open a connection: Django serves each on a thread of its own.
    """
    database: dict[str, Any] = dict(dj_database_url.parse(url))
    options = database.setdefault("OPTIONS", {})
    if database["ENGINE"].endswith("sqlite3"):
        options["transaction_mode"] = "IMMEDIATE"
        options["timeout"] = SQLITE_TIMEOUT_S
        options["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
        return database
    database["CONN_HEALTH_CHECKS"] = True  # a connection that died in the pool is not handed out
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
    """Files made meanwhile are their owner's alone: SQLite's hold password hashes."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def requests_bound() -> None:
    """From now on no statement of this process waits longer than ACCOUNTS_TIMEOUT_MS: called where requests are served.

    Management commands, `migrate` above all, keep their time.
    """
    BoundedConnection.answer_timeout_s = settings.ACCOUNTS_TIMEOUT_MS / 1000
    connection_created.connect(_bound_sqlite, dispatch_uid="accounts")


def _bound_sqlite(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {settings.ACCOUNTS_TIMEOUT_MS:d}")


def accounts_close() -> None:
    """Close this thread's connection, and the process's pool where there is one."""
    connection: Any = connections[ALIAS]
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()
