"""A TimescaleDB and a standby with streaming replication: the real programs, with temporary data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import psycopg

from testing.process import ROOT, STOP_DEADLINE_S, free_port
from testing.proxy import TcpProxy
from testing.waiting import wait_until
from tests.chaos.services import Services

sys.path.insert(0, str(ROOT / "scripts"))

from lib.machine.account import AS_SERVER, services_folder
from lib.machine.prefix import POSTGRES_BIN
from lib.services.postgres import SETTINGS

PROGRAMS = services_folder() / "prefix"


class PostgresPair:
    """Constructed stopped.

    `env` connects to both: reads go to the standby while it is available, writes to the primary.

    `standby_proxy` is the connection to the standby.
    """

    def __init__(self) -> None:
        self.services = Services()
        self.port = free_port()
        self.standby_proxy = TcpProxy(("127.0.0.1", self.port))
        self._folder = self.services.data / "standby"
        self._log = self.services.data / "standby.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.services.start()
        self._copy()
        self.start_standby()

    def start_standby(self) -> None:
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        settings += ["--hot_standby_feedback=on", "--wal_retrieve_retry_interval=100ms"]
        command = [*AS_SERVER, str(PROGRAMS / POSTGRES_BIN / "postgres"), "-D", str(self._folder), "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *settings], stdout=log, stderr=log, cwd="/")
        wait_until(self._is_following, f"the standby follows, see {self._log}", deadline_s=60)

    def kill_standby(self) -> None:
        """Kill the postmaster, as a crash does. Its child processes end with it."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_DEADLINE_S)
        wait_until(lambda: not self._answers(), "the standby is gone")

    def pause_replay(self) -> None:
        """Pause the replay. The standby keeps answering with its current data."""
        self.ask_standby("SELECT pg_wal_replay_pause()")
        wait_until(
            lambda: self.ask_standby("SELECT pg_get_wal_replay_pause_state()") == "paused", "the replay is paused"
        )

    def resume_replay(self) -> None:
        self.ask_standby("SELECT pg_wal_replay_resume()")

    @property
    def env(self) -> dict[str, str]:
        env = self.services.env()
        parts = urlsplit(env["TELEMETRY_URL"])
        hosts = f"127.0.0.1:{parts.port},127.0.0.1:{self.standby_proxy.port}"
        userinfo = parts.netloc.rpartition("@")[0]
        url = parts._replace(netloc=f"{userinfo}@{hosts}", query="target_session_attrs=prefer-standby")
        return {**env, "TELEMETRY_URL": url.geturl()}

    def sessions(self, *, standby: bool) -> int:
        """Return the number of connections from servers."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'wattstream server'"
        return int(self.ask_standby(query) if standby else self._ask(self._primary_port, query))

    def ask_standby(self, query: str) -> Any:
        return self._ask(self.port, query)

    def remove(self) -> None:
        self.standby_proxy.close()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_DEADLINE_S)
        shutil.rmtree(self._folder, ignore_errors=True)
        self.services.remove()

    def _copy(self) -> None:
        loader = next(PROGRAMS.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
        program = [str(loader), "--library-path", str(loader.parent), str(PROGRAMS / POSTGRES_BIN / "pg_basebackup")]
        self.services.data.chmod(0o777)  # the servers' user creates the folder
        source = f"host=127.0.0.1 port={self._primary_port} user=postgres password={self._password}"
        options = ["-D", str(self._folder), "-R", "-X", "stream", "--checkpoint=fast", "-d", source]
        done = subprocess.run(
            [*AS_SERVER, *program, *options], cwd="/", env={"LC_ALL": "C", "PATH": os.defpath},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.services.data.chmod(0o711)

    def _is_following(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        return self._answers() and self.ask_standby("SELECT status FROM pg_stat_wal_receiver") == "streaming"

    def _answers(self) -> bool:
        try:
            return bool(self.ask_standby("SELECT pg_is_in_recovery()"))
        except psycopg.OperationalError:
            return False

    def _ask(self, port: int, query: str) -> Any:
        told = {"host": "127.0.0.1", "port": port, "user": "postgres", "password": self._password, "dbname": "postgres"}
        with psycopg.connect(**told, autocommit=True, connect_timeout=5) as connection:  # type: ignore[arg-type]
            row = connection.execute(query).fetchone()
            return row[0] if row else None

    @property
    def _instance(self) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads((self.services.data / "instance.json").read_text())
        return kept

    @property
    def _password(self) -> str:
        return str(self._instance["superuser_password"])

    @property
    def _primary_port(self) -> int:
        return int(self._instance["postgres_port"])
