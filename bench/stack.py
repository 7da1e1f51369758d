"""The environment of a measurement: temporary or kept databases, an account, 30 days of readings, server processes."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis
from psycopg.conninfo import conninfo_to_dict

from bench.loads.accounts import accounts_create
from bench.measure.cpu import cpu_seconds, with_children
from testing.process import Process

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".local" / "bench"
SERVICES = [sys.executable, "scripts/services"]
DEVICES = ("bench_a", "bench_b", "bench_c")
# All load comes from one address and mostly from one user: raise the limits per user and per address.
UNLIMITED = {
    "LIVE_SOCKETS_PER_USER": "100000",
    "LOGIN_FAILURES_PER_ADDRESS": "1000000",
    "TICKETS_PER_ACCOUNT": "1000000",
    "TICKETS_PER_ADDRESS": "1000000",
    "HANDSHAKE_FAILURES_PER_ACCOUNT": "1000000",
    "HANDSHAKE_FAILURES_PER_ADDRESS": "1000000",
}


@dataclass
class BenchStack:
    """Running databases. `env` for the servers; `token` of the devices' owner; `postgres`, `redis`: process ids."""

    env: dict[str, str]
    folder: Path
    token: str
    postgres: int
    redis: int

    def server(
        self,
        name: str,
        command: Sequence[str],
        ready_path: str,
        *,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> Process:
        everything = {**self.env, **(env or {})}
        return Process(command, env=everything, log=self.folder / f"{name}.log", ready_path=ready_path, port=port)

    def database_cpu(self) -> float:
        """Return the CPU seconds of all PostgreSQL processes."""
        return cpu_seconds(with_children(self.postgres))

    def reader_cpu(self) -> float:
        """Return the CPU seconds of the PostgreSQL processes that answer the servers, without writer and rollup."""
        role = conninfo_to_dict(self.env["TELEMETRY_URL"])["user"]
        with psycopg.connect(self.env["TELEMETRY_ADMIN_URL"]) as connection:
            found = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", [role]).fetchall()
        return cpu_seconds(pid for (pid,) in found)


@contextmanager
def bench_stack(
    *,
    days: int = 0,
    devices: Sequence[str] = DEVICES,
    viewers: int = 0,
    settings: Mapping[str, str] | None = None,
    folder: Path = FOLDER,
    is_kept: bool = True,
) -> Iterator[BenchStack]:
    """Start the databases, load the missing part of `days`, and stop everything at the end, also after Ctrl-C.

    The databases stay in `folder` for the next measurement, unless `is_kept` is false.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder.mkdir(parents=True, exist_ok=True)
    data = str(folder / "services")
    subprocess.run([*SERVICES, "start", "--data", data], cwd=ROOT, check=True)
    try:
        env = {**os.environ, **_databases(data), **settings_in(folder), **UNLIMITED, **(settings or {})}
        _run(env, "manage.py", "telemetry_schema", "--apply")
        _run(env, "manage.py", "migrate", "--verbosity", "0")
        if days:
            history_load(env, days, devices)
        token = accounts_create(env, devices, viewers=viewers)
        yield BenchStack(env, folder, token, postmaster_pid(env), redis_pid(env))
    finally:
        subprocess.run([*SERVICES, "stop", "--data", data], cwd=ROOT, check=True)
        if not is_kept:
            shutil.rmtree(folder)


def history_load(env: dict[str, str], days: int, devices: Sequence[str]) -> None:
    """Load the missing part of the last `days` of `devices`, by COPY."""
    houses = [argument for device in devices for argument in ("--device", device)]
    _run(env, "-m", "simulator", "load", "--days", str(days), *houses)
    with psycopg.connect(env["TELEMETRY_ADMIN_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE energy_data")


def _databases(data: str) -> dict[str, str]:
    told = subprocess.run([*SERVICES, "env", "--data", data], cwd=ROOT, check=True, capture_output=True, text=True)
    exports = (shlex.split(line)[1].partition("=") for line in told.stdout.splitlines())
    return {name: value for name, _, value in exports}


def settings_in(folder: Path) -> dict[str, str]:
    path = folder / "secrets.json"
    if not path.exists():
        path.write_text(json.dumps({name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "INGEST_SECRET")}))
    kept: dict[str, str] = json.loads(path.read_text())
    return {**kept, "DATABASE_URL": f"sqlite:///{folder / 'accounts.sqlite3'}", "DEBUG": "0", "LOG_LEVEL": "WARNING"}


def _run(env: dict[str, str], *command: str) -> None:
    subprocess.run([sys.executable, *command], cwd=ROOT, env=env, check=True)


def postmaster_pid(env: dict[str, str]) -> int:
    """Return the parent of the process that serves a connection."""
    told = conninfo_to_dict(env["TELEMETRY_ADMIN_URL"])
    assert told["host"] == "127.0.0.1", "CPU is read from /proc, so the database must run on this machine"
    with psycopg.connect(env["TELEMETRY_ADMIN_URL"]) as connection:
        pid = connection.info.backend_pid
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def redis_pid(env: dict[str, str]) -> int:
    with redis.Redis.from_url(env["REDIS_URL"]) as client:
        return int(client.info("server")["process_id"])
