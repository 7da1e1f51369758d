"""Databases of the test server: their addresses, and their end."""

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
    """Parts of a connection as a URI, because that is what the settings document."""
    rest = dict(told)
    user, password = quote(str(rest.pop("user", "")), safe=""), quote(str(rest.pop("password", "")), safe="")
    host, port, dbname = rest.pop("host", "127.0.0.1"), rest.pop("port", 5432), rest.pop("dbname", "")
    return f"postgresql://{user}:{password}@{host}:{port}/{dbname}"


def beside(admin_url: str) -> Connection:
    """The same role in the server's own database, from where others are made and dropped."""
    elsewhere = make_conninfo(admin_url, dbname="postgres")
    return psycopg.connect(elsewhere, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def database_drop(admin_url: str, name: str) -> None:
    """Drop it, whoever is connected. While autovacuum looks at it, which is the server's own, that is refused."""

    def dropped() -> bool:
        try:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    with beside(admin_url) as admin:
        wait_until(dropped, f"{name} dropped")
