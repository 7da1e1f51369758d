"""Servers as real processes on free loopback ports: started, awaited with a deadline, stopped by process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from testing.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A process in the repository root. Replaces `{port}` in `command`; ready when `GET ready_path` answers 200."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        ready_path: str = "/livez",
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._env = {**os.environ, **env}
        self._ready_path = ready_path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if wait:
            wait_until(self._is_ready, f"{self._command} ready, see {self.log}", deadline_s=START_DEADLINE_S)
        return self

    def _is_ready(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"{self._command} exited with {code}:\n{self.log.read_text()[-4000:]}"
        try:
            return httpx.get(self.url + self._ready_path, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def send_signal(self, what: signal.Signals) -> None:
        """Send a signal without waiting."""
        os.kill(self.pid, what)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """Send a signal, wait, and kill the process at the deadline.

        Returns the exit code, or None if it never started.
        """
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            return self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(STOP_DEADLINE_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
