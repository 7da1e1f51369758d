"""Long-running parts of a demo or bench: started in order, their logs on one screen, stopped together."""

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from lib.console import ScriptError
from lib.paths import ROOT

POLL_S = 0.1
STOP_DEADLINE_S = 15.0


class Supervisor:
    """The running parts by name. Each line that a part writes is printed after its name."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._parts: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        # A separate session: Ctrl-C reaches only the script, which then stops the parts in order.
        part = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._parts[name] = part
        threading.Thread(target=self._show, args=(name, part), daemon=True).start()

    def wait_for(self, name: str, url: str, timeout_s: float) -> None:
        """Wait until `url` answers 200. Raises ScriptError if the part ends first or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not _answers(url):
            if self._parts[name].poll() is not None:
                raise ScriptError(f"{name} ended; its last lines say why.")
            if time.monotonic() > deadline:
                raise ScriptError(f"{name} is not ready after {timeout_s:.0f} s.")
            time.sleep(POLL_S)

    def watch(self) -> None:
        """Wait until a part ends, which is a failure. Raises ScriptError."""
        while True:
            for name, part in self._parts.items():
                if part.poll() is not None:
                    raise ScriptError(f"{name} ended with code {part.returncode}; its last lines say why.")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop all parts in reverse order of their start. Kill a part that does not end in time."""
        for part in reversed(self._parts.values()):
            part.terminate()
            try:
                part.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()

    def _show(self, name: str, part: "subprocess.Popen[str]") -> None:
        assert part.stdout is not None
        for line in part.stdout:
            print(f"{name:>8} │ {line.rstrip()}", file=sys.stderr, flush=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
