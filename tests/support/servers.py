"""The project's own processes, as `scripts/serve` and compose start them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.process import Process


def server_process(env: Mapping[str, str], log: Path, *, port: int | None = None) -> Process:
    command = [sys.executable, "-m", "asgi_project.serve", "--port", "{port}"]
    return Process(command, env=env, log=log, port=port)


def writer_process(env: Mapping[str, str], log: Path, *, port: int | None = None) -> Process:
    return Process([sys.executable, "-m", "writer", "--port", "{port}"], env=env, log=log, port=port)
