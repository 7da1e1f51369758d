"""Ends the processes that a test run leaves behind, for example after Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Every process that a run starts, directly or not, inherits this variable.
RUN = "WATTSTREAM_TEST_RUN"
GRACE_S = 5.0


def run_begin() -> str:
    """Mark this process and all that it starts from now on. Return the mark."""
    os.environ[RUN] = mark = secrets.token_hex(8)
    return mark


def run_end(mark: str) -> list[int]:
    """End the marked processes except this one: SIGTERM, then SIGKILL after GRACE_S. Return their ids."""
    left = list(_marked(mark))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _marked(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + GRACE_S
        while any(_marked(mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
    return left


def _marked(mark: str) -> Iterator[int]:
    wanted = f"{RUN}={mark}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
