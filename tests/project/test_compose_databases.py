"""The commands and files with which compose.yaml starts the databases, on real programs: roles, passwords, health
checks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from testing.process import ROOT, STOP_DEADLINE_S, free_port
from testing.waiting import wait_until
from tests.project.deployment import SERVICES, unescaped

sys.path.insert(0, str(ROOT / "scripts"))

from lib.machine.account import services_folder
from lib.machine.prefix import POSTGRES_BIN

pytestmark = pytest.mark.processes

PROGRAMS = services_folder() / "prefix"
OWNER_SQL = ROOT / "deploy/timescaledb-owner.sql"
PASSWORD = "a-Password_0f-this-test"


@pytest.fixture(scope="module")
def superuser() -> Iterator[dict[str, str]]:
    """libpq variables for the superuser of a private TimescaleDB."""
    with tempfile.TemporaryDirectory(prefix="wattstream-compose-") as folder:
        # the servers' user must be able to access it
        Path(folder).chmod(0o755)
        data = Path(folder) / "services"
        services = [sys.executable, str(ROOT / "scripts/services")]
        without = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        subprocess.run([*services, "start", "--data", data], env=without, check=True, capture_output=True, timeout=120)
        try:
            instance = json.loads((data / "instance.json").read_text())
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(instance["postgres_port"]),
                "PGUSER": "postgres",
                "PGPASSWORD": instance["superuser_password"],
            }
        finally:
            subprocess.run([*services, "stop", "--data", data], check=True, capture_output=True, timeout=120)


def test_a_new_database_gets_a_reader_and_an_owner_without_superuser(superuser: dict[str, str]) -> None:
    """As in the image: the superuser creates the database and runs the file; then the schema command runs."""
    statements = OWNER_SQL.read_text()
    # this server already has a role and a database with these names
    assert "wattstream_owner" in statements
    statements = statements.replace("wattstream_owner", "compose_owner").replace("DATABASE wattstream", "DATABASE made")
    psql("CREATE DATABASE made", superuser, "postgres")
    psql(statements, {**superuser, "TELEMETRY_OWNER_PASSWORD": PASSWORD}, "made")
    address = f"127.0.0.1:{superuser['PGPORT']}/made"
    urls = {
        "TELEMETRY_ADMIN_URL": f"postgresql://compose_owner:{PASSWORD}@{address}",
        "TELEMETRY_URL": f"postgresql://compose_reader:{PASSWORD}@{address}",
    }
    done = subprocess.run(
        [sys.executable, *SERVICES["schema"]["command"][1:]],
        cwd=ROOT, env={**os.environ, **urls}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with psycopg.connect(urls["TELEMETRY_ADMIN_URL"]) as owner:
        rights = owner.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
        assert rights == (False, True)
    with psycopg.connect(urls["TELEMETRY_URL"]) as reader:
        assert reader.execute("SELECT count(*) FROM energy_data").fetchone() == (0,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("INSERT INTO energy_data (time, device_id) VALUES (now(), 'x')")


def psql(statements: str, environment: dict[str, str], database: str) -> None:
    """Run statements as the image's entrypoint runs a file."""
    command = [str(PROGRAMS / POSTGRES_BIN / "psql"), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "--dbname", database]
    done = subprocess.run(
        command, input=statements, env={"PATH": os.defpath, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_image_runs_the_file_after_its_own() -> None:
    (mounted,) = [mount for mount in SERVICES["timescaledb"]["volumes"] if "owner.sql" in mount]
    source, target, options = mounted.split(":")
    assert (ROOT / source).samefile(OWNER_SQL)
    folder, _, name = target.rpartition("/")
    assert folder == "/docker-entrypoint-initdb.d"
    assert name.endswith(".sql")
    assert name > "001_timescaledb_tune.sh"
    assert options == "ro"
    assert SERVICES["timescaledb"]["environment"]["POSTGRES_DB"] == "wattstream"


def test_the_exact_command_of_redis_requires_the_password(tmp_path: Path) -> None:
    service = SERVICES["redis"]
    shell, option, script = service["command"]
    port = free_port()
    script = unescaped(script).replace("requirepass", f"bind 127.0.0.1\nport {port}\nrequirepass", 1)
    environment = {
        "PATH": f"{runnable('usr/bin/redis-cli', tmp_path)}:{PROGRAMS / 'usr/bin'}:{os.defpath}",
        "REDIS_PASSWORD": PASSWORD,
    }
    with (tmp_path / "redis.log").open("w") as log:
        process = subprocess.Popen([shell, option, script], cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        with redis.Redis(port=port, password=PASSWORD) as client:
            wait_until(lambda: answers(client), "Redis answers")
            assert client.config_get("save") == {"save": ""}
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        # The process is Redis itself, not a shell that would not forward signals.
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert arguments.startswith(b"redis-server")
        assert PASSWORD.encode() not in arguments
        assert redis_health(service["healthcheck"]["test"], port, environment) == 0
        assert redis_health(service["healthcheck"]["test"], port, {**environment, "REDIS_PASSWORD": "wrong"}) != 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_DEADLINE_S)
    assert process.returncode == 0
    assert list(tmp_path.glob("*.rdb")) == []


def test_the_health_check_of_timescaledb_works(superuser: dict[str, str], tmp_path: Path) -> None:
    kind, *command = SERVICES["timescaledb"]["healthcheck"]["test"]
    assert kind == "CMD"
    path = f"{runnable(f'{POSTGRES_BIN}/pg_isready', tmp_path)}:{os.defpath}"

    def check(port: int | str) -> int:
        asked = ["env", f"PATH={path}", *command, f"--port={port}"]
        return subprocess.run(asked, check=False, timeout=20).returncode

    assert check(superuser["PGPORT"]) == 0
    assert check(free_port()) != 0


def runnable(program: str, folder: Path) -> Path:
    """Return a folder with a wrapper that runs Debian's unmodified program on this machine."""
    loader = next(PROGRAMS.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
    script = folder / "bin" / Path(program).name
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {loader} --library-path {loader.parent} {PROGRAMS / program} "$@"\n')
    script.chmod(0o755)
    return script.parent


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def redis_health(test: list[str], port: int, environment: dict[str, str]) -> int:
    kind, command = test
    assert kind == "CMD-SHELL"
    command = unescaped(command).replace("redis-cli ping", f"redis-cli -p {port} ping")
    return subprocess.run(["sh", "-c", command], env=environment, check=False, timeout=20).returncode
