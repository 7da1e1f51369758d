"""The deployment files as data: compose.yaml, Dockerfile, deploy/nginx.conf, and the real programs that read them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testing.process import ROOT

COMPOSE_FILE = ROOT / "compose.yaml"
COMPOSE_TEXT = COMPOSE_FILE.read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = ("schema", "writer", "server", "writer-scale", "server-1", "server-2")  # services that use the project's image
FRONTS = ("front", "front-scale")
POSTGRESQL = ("timescaledb", "accounts")  # their images start as root, to change the owner of their folder
NGINX_CONF = ROOT / "deploy" / "nginx.conf"
FETCH_DEADLINE_S = 300


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, and the index of its stage."""

    name: str
    value: str
    stage: int

    @property
    def words(self) -> list[str]:
        return shlex.split(self.value)


def dockerfile() -> list[Instruction]:
    """Return the instructions of the Dockerfile, with continued lines joined and without comments."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[Instruction] = []
    stage = -1
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, value = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, value.strip(), stage))
    return found


def image_environment() -> dict[str, str]:
    """Return the ENV variables of the final image."""
    instructions = dockerfile()
    last = instructions[-1].stage
    pairs = [pair for item in instructions if (item.name, item.stage) == ("ENV", last) for pair in item.words]
    return dict(pair.split("=", 1) for pair in pairs)


def unescaped(text: str) -> str:
    """Replace `$$` with `$`, as compose does."""
    return text.replace("$$", "$")


@cache
def tool(name: str) -> Path:
    """Return the program `nginx` or `docker-compose`; the first call fetches it from Debian."""
    done = subprocess.run(
        [sys.executable, "-m", "lib.machine.deploy_tools", name],
        cwd=ROOT / "scripts", capture_output=True, text=True, timeout=FETCH_DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
