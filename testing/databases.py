"""Databases of the test server: connection URLs and removal."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from testing.waiting import wait_until

Connection = psycopg.Connection[tuple[object, ...]]
CONNECT_TIMEOUT_S = 5


def url_of(told: Mapping[str, object]) -> str:
    """Return connection parameters as a URL, the documented format of the settings."""
    rest = dict(told)
    user, password = quote(str(rest.pop("user", "")), safe=""), quote(str(rest.pop("password", "")), safe="")
    host, port, dbname = rest.pop("host", "127.0.0.1"), rest.pop("port", 5432), rest.pop("dbname", "")
    return f"postgresql://{user}:{password}@{host}:{port}/{dbname}"


def beside(admin_url: str) -> Connection:
    """Connect as the same role to the maintenance database, in order to create and drop others."""
    elsewhere = make_conninfo(admin_url, dbname="postgres")
    return psycopg.connect(elsewhere, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def database_drop(admin_url: str, name: str) -> None:
    """Drop a database and disconnect its users.

    Retries while autovacuum is connected, which only a superuser may end.
    """

    def dropped() -> bool:
        try:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    with beside(admin_url) as admin:
        wait_until(dropped, f"{name} dropped")
