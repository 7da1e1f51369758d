"""The project's processes, started as `scripts/serve` and compose start them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from testing.process import Process
from testing.stack import manage


def server_process(env: Mapping[str, str], log: Path, *, port: int | None = None) -> Process:
    command = [sys.executable, "-m", "asgi_project.server.serve", "--port", "{port}"]
    return Process(command, env=env, log=log, port=port)


def daphne_process(env: Mapping[str, str], log: Path) -> Process:
    """Return the application under daphne, with static files collected as `scripts/serve` does."""
    manage(dict(env), "collectstatic", "--noinput")
    command = ["-b", "127.0.0.1", "-p", "{port}", "asgi_project.server.daphne:application"]
    return Process([sys.executable, "-m", "daphne", *command], env=env, log=log)


def writer_process(env: Mapping[str, str], log: Path, *, port: int | None = None) -> Process:
    return Process([sys.executable, "-m", "writer", "--port", "{port}"], env=env, log=log, port=port)
