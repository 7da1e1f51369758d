"""A private TimescaleDB and Redis, which tests may pause, kill and restart."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from testing.process import ROOT
from testing.stack import SERVICES

NAMED = ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "REDIS_URL")
REDIS, TIMESCALE = "Redis", "TimescaleDB"


class Services:
    """Constructed stopped; `remove` stops the servers and deletes their data. All methods block for at most seconds."""

    def __init__(self) -> None:
        self.data = ROOT / ".local" / f"chaos-{secrets.token_hex(4)}"

    def start(self) -> None:
        """Start the stopped servers. Redis starts empty."""
        self._script("start")

    def env(self) -> dict[str, str]:
        exports = [line for line in self._script("env").splitlines() if line.startswith("export ")]
        return dict(shlex.split(line)[1].split("=", 1) for line in exports)

    def kill(self, name: str) -> None:
        """Kill the server with SIGKILL, as a crash does; `start` restarts it."""
        os.kill(self._pid(name), signal.SIGKILL)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Stop the server with SIGSTOP: connections stay open without answers."""
        pid = self._pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def remove(self) -> None:
        self._script("stop")
        shutil.rmtree(self.data, ignore_errors=True)

    def _pid(self, name: str) -> int:
        found = re.search(rf"^{name}: running on .*, process (\d+)", self._script("status"), re.MULTILINE)
        assert found, f"{name} is not running"
        return int(found[1])

    def _script(self, action: str) -> str:
        env = {name: value for name, value in os.environ.items() if name not in NAMED}
        command = [*SERVICES, action, "--data", str(self.data)]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"services {action} failed:\n{done.stdout}{done.stderr}"
        return done.stdout
