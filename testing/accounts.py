"""An accounts database on PostgreSQL, with a role that can access only this database."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from testing.databases import beside, database_drop, url_of


@dataclass(frozen=True)
class AccountsDatabase:
    """An accounts database.

    `url` is a DATABASE_URL. Its ICU collation differs from SQLite's, to expose order dependence.
    """

    name: str
    url: str
    admin_url: str

    def create(self) -> None:
        """Create role and database as docs/accounts-database.md describes."""
        role, password = sql.Identifier(self.name), str(conninfo_to_dict(self.url)["password"])
        with beside(self.admin_url) as admin:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
            admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            admin.execute(
                sql.SQL(
                    "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'"
                    " LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
                ).format(role, role)
            )
            admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))

    def drop(self) -> None:
        database_drop(self.admin_url, self.name)
        with beside(self.admin_url) as admin:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(self.name)))


def accounts_named(admin_url: str) -> AccountsDatabase:
    """Return name and URL of a new accounts database without creating it.

    `admin_url`: a role with CREATEROLE and CREATEDB.
    """
    name, password = f"accounts_test_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    url = url_of(conninfo_to_dict(admin_url) | {"user": name, "password": password, "dbname": name})
    return AccountsDatabase(name, url, admin_url)


def accounts_create(admin_url: str) -> AccountsDatabase:
    """Create an accounts database. `admin_url`: a role with CREATEROLE and CREATEDB."""
    accounts = accounts_named(admin_url)
    accounts.create()
    return accounts
