"""Results as data: bench/results/*.json, each with its command, date and machine."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.stack import ROOT

FOLDER = ROOT / "bench" / "results"
GIGABYTE = 1e9


def about() -> dict[str, Any]:
    """Return the origin of a result. Call it before the measurement: `load_before` is the current load average."""
    return {
        "command": shlex.join(["./scripts/bench", *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def machine() -> str:
    """Return cores, processor, memory, kernel and Python version on one line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    kernel = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} cores, {_processor()}, {memory:.0f} GB, {kernel}, Python {platform.python_version()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def picture(name: str) -> Path:
    """Return the path of a result's chart."""
    FOLDER.mkdir(exist_ok=True)
    return FOLDER / f"{name}.png"


def save(name: str, told: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Write `data` with `told`, its origin, as "about"."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({"about": told, **data}, indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n")


def read(name: str) -> dict[str, Any] | None:
    """Return the named result, or None if it was never measured."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def capacity_found(stage: str) -> int:
    """Return the load that a stage of ./scripts/bench capacity found, or 0 if it was never saved."""
    measured = read("capacity") or {"stages": {}}
    return int(measured["stages"].get(stage, {}).get("found", 0))
