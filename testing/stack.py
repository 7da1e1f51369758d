"""The real databases of a test run: a TimescaleDB with a temporary database, Redis, an accounts database."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from testing.accounts import AccountsDatabase, accounts_named
from testing.databases import CONNECT_TIMEOUT_S, beside, database_drop, url_of
from testing.process import ROOT
from testing.proxy import TcpProxy

# Each run and each pytest-xdist worker has separate servers, because Redis channels are shared by all databases.
SERVICES_DATA = "-".join(
    filter(None, [os.environ.get("TEST_SERVICES", ".local/test-services"), os.environ.get("PYTEST_XDIST_WORKER")])
)
SERVICES = [sys.executable, "scripts/services"]


@dataclass
class Stack:
    """The databases of a run. `env`: environment for server and writer.

    Constructed closed with all addresses known; `open` starts the services and creates the databases.
    """

    env: dict[str, str]
    database: str
    accounts: AccountsDatabase | None = None
    is_open: bool = False
    _proxies: list[TcpProxy] = field(default_factory=list)

    def open(self) -> None:
        """Start the services if necessary, and create a telemetry database with its schema."""
        if self.is_open:
            return
        services("start", timeout_s=300)
        with beside(self.env["TELEMETRY_ADMIN_URL"]) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
        self.is_open = True
        if self.accounts is not None:
            self.accounts.create()
        for command in (["telemetry_schema", "--apply"], ["migrate", "--verbosity", "0"]):
            manage(self.env, *command)

    def telemetry_proxy(self, *, admin: bool = False) -> tuple[TcpProxy, str]:
        """Return a new proxy in front of TimescaleDB and the URL through it."""
        told = conninfo_to_dict(self.env["TELEMETRY_ADMIN_URL" if admin else "TELEMETRY_URL"])
        proxy = self._proxy(str(told["host"]), int(str(told.get("port", 5432))))
        return proxy, url_of(told | {"host": "127.0.0.1", "port": proxy.port})

    def redis_proxy(self) -> tuple[TcpProxy, str]:
        """Return a new proxy in front of Redis and the URL through it."""
        parts = urlsplit(self.env["REDIS_URL"])
        proxy = self._proxy(parts.hostname or "127.0.0.1", parts.port or 6379)
        userinfo, at, _ = parts.netloc.rpartition("@")
        return proxy, parts._replace(netloc=f"{userinfo}{at}127.0.0.1:{proxy.port}").geturl()

    def _proxy(self, host: str, port: int) -> TcpProxy:
        proxy = TcpProxy((host, port))
        self._proxies.append(proxy)
        return proxy

    def admin(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the owner role."""
        return psycopg.connect(self.env["TELEMETRY_ADMIN_URL"], autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.close()
        if not self.is_open:
            return
        if self.accounts is not None:
            self.accounts.drop()
        database_drop(self.env["TELEMETRY_ADMIN_URL"], self.database)


def stack_of(folder: Path, *, accounts_on: str | None = None) -> Stack:
    """Return a closed stack on the databases that the environment names, or on private ones.

    `accounts_on`: `sqlite` or `postgresql`, each a new database. None: DATABASE_URL if it is set, otherwise SQLite.
    """
    env = _services_env()
    database = f"wattstream_test_{secrets.token_hex(4)}"
    for name in ("TELEMETRY_ADMIN_URL", "TELEMETRY_URL"):
        env[name] = url_of(conninfo_to_dict(env[name]) | {"dbname": database})
    accounts = accounts_named(env["TELEMETRY_ADMIN_URL"]) if accounts_on == "postgresql" else None
    given = os.environ.get("DATABASE_URL") if accounts_on is None else None
    env.update(
        SECRET_KEY=secrets.token_urlsafe(48),
        INGEST_SECRET=secrets.token_urlsafe(48),
        DATABASE_URL=accounts.url if accounts else given or f"sqlite:///{folder / 'accounts.sqlite3'}",
        STATIC_ROOT=str(folder / "static"),
        ALLOW_REGISTRATION="1",
        DEBUG="0",
    )
    return Stack(env, database, accounts)


def services_are_running() -> bool:
    command = [*SERVICES, "status", "--data", SERVICES_DATA]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60).returncode == 0


def services(action: str, *, timeout_s: int = 60) -> None:
    """Run `scripts/services` for the servers of this run."""
    subprocess.run([*SERVICES, action, "--data", SERVICES_DATA], cwd=ROOT, check=True, timeout=timeout_s)


def manage(env: dict[str, str], *arguments: str) -> str:
    """Run a management command as a process and return its standard output."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"manage.py {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def _services_env() -> dict[str, str]:
    told = subprocess.run(
        [*SERVICES, "env", "--reserve", "--data", SERVICES_DATA],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    exports = [shlex.split(line)[1].split("=", 1) for line in told.stdout.splitlines() if line.startswith("export ")]
    return dict(exports)
