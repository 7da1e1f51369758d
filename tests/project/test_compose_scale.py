"""The profile `scale` of compose.yaml: valid, and the commands that only this profile has run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from telemetry.redis_url import redis_address
from testing.process import ROOT, STOP_DEADLINE_S, free_port
from testing.waiting import wait_until
from tests.project.deployment import SERVICES, unescaped
from tests.project.test_compose import compose, environment
from tests.project.test_compose_databases import PASSWORD, PROGRAMS, psql, runnable

sys.path.insert(0, str(ROOT / "scripts"))

from lib.machine.account import AS_SERVER
from lib.machine.prefix import POSTGRES_BIN

pytestmark = pytest.mark.processes

SCALE = {name: service for name, service in SERVICES.items() if "profiles" in service}
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")


def test_docker_compose_accepts_the_profile(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts/env", "--output", tmp_path / ".env"], check=True, capture_output=True, timeout=30)
    done = compose("--env-file", str(tmp_path / ".env"), "--profile", "scale", "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services.keys() == SERVICES.keys()
    telemetry = conninfo_to_dict(services["server-1"]["environment"]["TELEMETRY_URL"])
    assert str(telemetry["host"]).split(",") == ["timescaledb-standby", "timescaledb"]
    address = redis_address(services["server-1"]["environment"]["REDIS_URL"])
    assert [host for host, _ in address.nodes] == list(SENTINELS)
    assert address.options["password"] == address.sentinel_options["password"]


def test_front_scale_depends_on_the_profile_and_the_databases_only() -> None:
    needed, left = set(), ["front-scale"]
    while left:
        name = left.pop()
        needed.add(name)
        left += [other for other in SERVICES[name].get("depends_on", {}) if other not in needed]
    assert needed == SCALE.keys() | {"timescaledb", "redis", "schema"}


def test_the_servers_differ_from_the_default_only_in_addresses() -> None:
    for several, one in [("server-1", "server"), ("server-2", "server"), ("writer-scale", "writer")]:
        given, default = environment(SERVICES[several]), environment(SERVICES[one])
        differing = {name for name in given.keys() | default.keys() if given.get(name) != default.get(name)}
        expected = {"REDIS_URL"} if one == "writer" else {"REDIS_URL", "TELEMETRY_URL", "DATABASE_URL"}
        assert differing == expected
        assert SERVICES[several]["command"] == SERVICES[one]["command"]
        assert SERVICES[several]["healthcheck"] == SERVICES[one]["healthcheck"]
        assert not SERVICES[several].get("volumes"), "files of this machine do not exist on another one"


# --- Redis -------------------------------------------------------------------------------------------------------


@contextmanager
def command_running(name: str, folder: Path, changes: dict[str, str]) -> Iterator[None]:
    """Run a service's command with addresses and folders of this machine."""
    shell, option, script = SERVICES[name]["command"]
    script = unescaped(script)
    for ours, here in changes.items():
        assert re.search(ours, script), ours
        script = re.sub(ours, here, script)
    env = {"PATH": f"{PROGRAMS / 'usr/bin'}:{os.defpath}", "REDIS_PASSWORD": PASSWORD}
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen([shell, option, script], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_DEADLINE_S)


def test_the_exact_commands_of_redis_replica_and_sentinels_connect(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("redis", "redis-replica", *SENTINELS)}
    local = {"requirepass": "bind 127.0.0.1\nport {port}\nrequirepass", "replica-announce-ip .*": ""}
    master = f"127.0.0.1 {ports['redis']}"

    def changes(name: str) -> dict[str, str]:
        return {ours: here.format(port=ports[name]) for ours, here in local.items()}

    with ExitStack() as running:
        running.enter_context(command_running("redis", tmp_path, changes("redis")))
        replica = changes("redis-replica") | {"replicaof redis 6379": f"replicaof {master}"}
        running.enter_context(command_running("redis-replica", tmp_path, replica))
        with client(ports["redis-replica"]) as asked:
            wait_until(lambda: told(asked, "replication").get("master_link_status") == "up", "the replica follows")
        for name in SENTINELS:
            (tmp_path / name).mkdir()
            adapted = {
                "/data/": f"{tmp_path / name}/",
                "port 26379": f"bind 127.0.0.1\nport {ports[name]}\ndir {tmp_path / name}",
                "redis 6379": master,
            }
            running.enter_context(command_running(name, tmp_path, adapted))
        with client(ports["sentinel-1"]) as sentinel:
            wait_until(lambda: is_whole(told(sentinel, "sentinel")), "three Sentinels, a master and a replica")
        with redis.Redis(port=ports["sentinel-1"]) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def client(port: int) -> redis.Redis:
    return redis.Redis(port=port, password=PASSWORD, decode_responses=True, socket_timeout=5)


def told(asked: redis.Redis, section: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = asked.info(section)
    except redis.ConnectionError:
        return {}
    return found


def is_whole(info: dict[str, Any]) -> bool:
    state = info.get("master0", {})
    return (state.get("sentinels"), state.get("slaves"), state.get("status")) == (3, 1, "ok")


# --- PostgreSQL --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def superuser() -> Iterator[dict[str, str]]:
    """libpq variables for the superuser of a private TimescaleDB; PGDATA is its folder."""
    with tempfile.TemporaryDirectory(prefix="wattstream-compose-") as folder:
        Path(folder).chmod(0o777)  # the servers' user must access it and creates the standby's folder in it
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
                "PGDATA": str(data / "postgres"),
            }
        finally:
            subprocess.run([*services, "stop", "--data", data], check=True, capture_output=True, timeout=120)


def test_the_exact_command_of_the_standby_follows_the_primary(superuser: dict[str, str], tmp_path: Path) -> None:
    (script,) = [mount.split(":")[0] for mount in SERVICES["timescaledb"]["volumes"] if "standby.sh" in mount]
    path = f"{runnable(f'{POSTGRES_BIN}/psql', tmp_path)}:{os.defpath}"
    env = {**superuser, "PATH": path, "TELEMETRY_STANDBY_PASSWORD": PASSWORD}
    subprocess.run(["sh", ROOT / script], env=env, check=True, timeout=60)
    psql("SELECT pg_reload_conf()", superuser, "postgres")
    folder, port = Path(superuser["PGDATA"]).parents[1], free_port()
    given = environment(SERVICES["timescaledb-standby"])
    assert str(given["PGDATA"]).startswith("/var/lib/postgresql/data/"), "on the volume"
    with standby_running(folder, port, superuser["PGPORT"]) as log:
        told = {**superuser, "PGPORT": str(port)}
        wait_until(lambda: follows(told), f"the standby follows, see {log}", deadline_s=60)


@contextmanager
def standby_running(folder: Path, port: int, primary_port: str) -> Iterator[Path]:
    shell, option, script = SERVICES["timescaledb-standby"]["command"]
    programs, log = folder / "programs", folder / "standby.log"
    programs.mkdir()
    copy = runnable(f"{POSTGRES_BIN}/pg_basebackup", programs)
    programs.chmod(0o755)
    env = {
        "PATH": f"{copy}:{PROGRAMS / POSTGRES_BIN}:{os.defpath}",
        "LC_ALL": "C",
        "PGDATA": str(folder / "standby"),
        "PGHOST": "127.0.0.1",
        "PGPORT": primary_port,
        "PGUSER": "wattstream_standby",
        "PGPASSWORD": PASSWORD,
    }
    # In the image the copy includes the configuration; here the primary has it in its arguments.
    settings = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
    settings += "-c shared_preload_libraries=timescaledb -c"
    script = unescaped(script).replace("exec postgres -c", f"exec postgres {settings}")
    with log.open("ab") as file:
        process = subprocess.Popen([*AS_SERVER, shell, option, script], cwd="/", env=env, stdout=file, stderr=file)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(STOP_DEADLINE_S)


def follows(told: dict[str, str]) -> bool:
    asked = {"host": told["PGHOST"], "port": told["PGPORT"], "user": told["PGUSER"], "password": told["PGPASSWORD"]}
    try:
        with psycopg.connect(**asked, dbname="postgres", connect_timeout=5) as connection:  # type: ignore[arg-type]
            row = connection.execute("SELECT status, current_setting('hot_standby_feedback') FROM pg_stat_wal_receiver")
            return row.fetchone() == ("streaming", "on")
    except psycopg.OperationalError:
        return False


def test_accounts_belong_to_a_role_without_superuser(superuser: dict[str, str]) -> None:
    statements = (ROOT / "deploy/accounts-owner.sql").read_text()
    assert SERVICES["accounts"]["environment"]["POSTGRES_DB"] == "wattstream"
    statements = statements.replace("DATABASE wattstream", "DATABASE made_for_accounts")
    psql("CREATE DATABASE made_for_accounts", superuser, "postgres")
    psql(statements, {**superuser, "ACCOUNTS_PASSWORD": PASSWORD}, "made_for_accounts")
    url = f"postgresql://wattstream_accounts:{PASSWORD}@127.0.0.1:{superuser['PGPORT']}/made_for_accounts"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE anything (id int)")
        assert owner.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
