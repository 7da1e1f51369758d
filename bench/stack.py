"""What a measurement needs: databases of its own, an account, 30 days of readings, server processes."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.cpu import cpu_seconds, with_children
from tests.support.process import Process

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".local" / "bench"
SERVICES = [sys.executable, "scripts/services"]
DEVICES = ("bench_a", "bench_b", "bench_c")


@dataclass
class BenchStack:
    """`env` for the servers; `token` of a user who owns the devices; `postgres` the postmaster's process id."""

    env: dict[str, str]
    token: str
    postgres: int

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
        return Process(command, env=everything, log=FOLDER / f"{name}.log", ready_path=ready_path, port=port)

    def database_cpu(self) -> float:
        """CPU seconds of all of PostgreSQL's processes."""
        return cpu_seconds(with_children(self.postgres))


@contextmanager
def bench_stack(
    *, days: int = 0, devices: Sequence[str] = DEVICES, settings: Mapping[str, str] | None = None
) -> Iterator[BenchStack]:
    """Start the databases, load what is missing of `days`, and stop what was started, also after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = str(FOLDER / "services")
    subprocess.run([*SERVICES, "start", "--data", data], cwd=ROOT, check=True)
    try:
        env = {**os.environ, **_databases(data), **_settings(), **(settings or {})}
        _run(env, "manage.py", "telemetry_schema", "--apply")
        _run(env, "manage.py", "migrate", "--verbosity", "0")
        if days:
            _load_history(env, days, devices)
        yield BenchStack(env, _account(env, devices), _postmaster(env))
    finally:
        subprocess.run([*SERVICES, "stop", "--data", data], cwd=ROOT, check=True)


def _load_history(env: dict[str, str], days: int, devices: Sequence[str]) -> None:
    houses = [argument for device in devices for argument in ("--device", device)]
    _run(env, "-m", "writer.simulate", "load", "--days", str(days), *houses)
    with psycopg.connect(env["TELEMETRY_ADMIN_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE energy_data")


def _databases(data: str) -> dict[str, str]:
    told = subprocess.run([*SERVICES, "env", "--data", data], cwd=ROOT, check=True, capture_output=True, text=True)
    exports = (shlex.split(line)[1].partition("=") for line in told.stdout.splitlines())
    return {name: value for name, _, value in exports}


def _settings() -> dict[str, str]:
    path = FOLDER / "secrets.json"
    if not path.exists():
        path.write_text(json.dumps({name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "INGEST_SECRET")}))
    kept: dict[str, str] = json.loads(path.read_text())
    return {**kept, "DATABASE_URL": f"sqlite:///{FOLDER / 'accounts.sqlite3'}", "DEBUG": "0", "LOG_LEVEL": "WARNING"}


def _run(env: dict[str, str], *command: str) -> None:
    subprocess.run([sys.executable, *command], cwd=ROOT, env=env, check=True)


def _account(env: dict[str, str], devices: Sequence[str]) -> str:
    """A fresh token of the user who owns the devices."""
    code = (
        "from auth_app.models import User, AccessToken\n"
        "from auth_app.tokens import token_create\n"
        "from devices_app.models import Device\n"
        "user, _ = User.objects.get_or_create(username='bench')\n"
        f"for name in {tuple(devices)!r}: Device.objects.get_or_create(device_id=name, defaults={{'owner': user}})\n"
        "print(token_create(user=user, kind=AccessToken.Kind.LOGIN)[0])\n"
    )
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]


def _postmaster(env: dict[str, str]) -> int:
    """The parent of the process that serves a connection."""
    told = conninfo_to_dict(env["TELEMETRY_ADMIN_URL"])
    assert told["host"] == "127.0.0.1", "CPU is read from /proc, so the database has to be on this machine"
    with psycopg.connect(env["TELEMETRY_ADMIN_URL"]) as connection:
        pid = connection.info.backend_pid
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
