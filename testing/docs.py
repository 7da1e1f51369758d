"""Run a documentation page literally: its fenced blocks, and a shell that executes them."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from testing.process import ROOT, STOP_DEADLINE_S

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND_LIMIT_S = 120


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of one language in `docs/<page>`, in order."""
    text = (ROOT / "docs" / page).read_text()
    return [body for kind, body in _FENCE.findall(text) if kind == language]


def block(page: str, language: str, containing: str) -> str:
    """Return the only block of a language that contains the text."""
    found = [body for body in blocks(page, language) if containing in body]
    assert len(found) == 1, f"{len(found)} {language} blocks of {page} have {containing!r}"
    return found[0]


class Shell:
    """One bash in the repository root. Variables persist between blocks; a failing command fails the test."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"],
            cwd=ROOT, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        self._write("trap : TERM\n")  # SIGTERM ends the child processes only; the shell waits for them

    def run(self, text: str, **pasted: str) -> str:
        """Run a block and return its output. Each placeholder (`wsd_…`) is first replaced by its value in `pasted`."""
        for placeholder, value in pasted.items():
            assert f"{placeholder}…" in text
            text = text.replace(f"{placeholder}…", value)
        mark = secrets.token_hex(8)
        self._write(f"{text}\necho {mark}\n")
        timer = threading.Timer(COMMAND_LIMIT_S, self.close)
        timer.start()
        lines: list[str] = []
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            before, found, _ = line.partition(mark)
            lines.append(before)
            if found:
                timer.cancel()
                return "".join(lines)
        raise AssertionError(f"failed or took more than {COMMAND_LIMIT_S} s:\n{text}\n→ {''.join(lines)}")

    def start(self, text: str, log: Path) -> None:
        """Start a command that runs until `close`."""
        self._write(f"(exec {text.strip()}) > {shlex.quote(str(log))} 2>&1 &\n")

    def _write(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def close(self) -> None:
        """End the shell and its child processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        with suppress(BrokenPipeError):
            self._write("wait\nexit\n")
        try:
            self._bash.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.wait(STOP_DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def clean_env(**more: str) -> dict[str, str]:
    """Return the environment of a new terminal, extended by `more`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, **more}
