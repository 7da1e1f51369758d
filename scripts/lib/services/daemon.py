"""Background server processes, identified by process id and command line."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.console import ScriptError
from lib.machine.account import AS_SERVER
from lib.paths import shown

START_DEADLINE_S = 60.0  # long enough for recovery after a crash
POLL_S = 0.02


@dataclass(frozen=True)
class Daemon:
    """A server process: name, process id file, an argument unique to its command line, log.

    `stop_signals`: the signals to send, each with the seconds to wait before the next.
    """

    name: str
    pid_file: Path
    argument: str
    log: Path
    stop_signals: Sequence[tuple[signal.Signals, float]]

    def pid(self) -> int | None:
        """Return the process id, or None if it is not running. A stale process id file is recognised."""
        pid = self.noted_pid()
        return pid if pid and self.is_alive(pid) else None

    def noted_pid(self) -> int | None:
        """Return the process id in the file; another process may have it by now."""
        try:
            return int(self.pid_file.read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def is_alive(self, pid: int) -> bool:
        """Return whether this process is this server. A zombie has no arguments and does not count."""
        try:
            return os.fsencode(self.argument) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False

    def start(self, command: Sequence[object], is_ready: Callable[[], bool]) -> None:
        """Run the command in the background and wait until it is ready. Stop it if that fails."""
        noted = self.noted_pid()
        if noted and Path(f"/proc/{noted}").exists():
            self.pid_file.unlink()  # another process has this id now, and PostgreSQL would mistake it for its own
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        process = subprocess.Popen(
            [*AS_SERVER, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            start_new_session=True,
        )
        os.close(log)
        try:
            self.wait(process, is_ready)
        except BaseException:
            self.give_up(process)
            raise

    def wait(self, process: "subprocess.Popen[bytes]", is_ready: Callable[[], bool]) -> None:
        """Wait until the server answers. Raises ScriptError if it ends first or takes too long."""
        deadline = time.monotonic() + START_DEADLINE_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                reason = "is not ready" if process.poll() is None else "ended at once"
                last_words = self.log.read_text(errors="replace").splitlines()[-4:]
                raise ScriptError(f"{self.name} {reason}; {shown(self.log)} says why.", last_words)
            time.sleep(POLL_S)

    def give_up(self, process: "subprocess.Popen[bytes]") -> None:
        """Stop a server that did not become ready."""
        for kind, seconds in self.stop_signals:
            process.send_signal(kind)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)

    def stop(self) -> bool:
        """Stop the process and wait until it is gone. Return whether there was one."""
        pid = self.pid()
        if pid is None:
            return False
        for kind, seconds in self.stop_signals:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, kind)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self.is_alive(pid):
                    return True
                time.sleep(POLL_S)
        raise ScriptError(f"{self.name} (process {pid}) does not stop: look at what it is waiting for, then run again.")


def choose_port(name: str, asked: int | None, last: int | None) -> int:
    """Return the requested port, else the last used port if it is free, else any free port."""
    if asked is not None and not is_free(asked):
        raise ScriptError(f"Port {asked} is taken: give another one for {name}, or none to have a free one chosen.")
    if asked or (last and is_free(last)):
        return asked or last or 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
