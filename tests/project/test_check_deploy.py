"""`manage.py check --deploy` finds no issue in a production environment, and finds issues in others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testing.process import ROOT

pytestmark = pytest.mark.processes


def check_deploy(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command with exactly these variables."""
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "DEBUG"],
        cwd=ROOT, env={"PATH": os.defpath, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def production(folder: Path) -> dict[str, str]:
    """The environment from `./scripts/env` with TLS."""
    made = subprocess.run([ROOT / "scripts/env"], check=True, capture_output=True, text=True, timeout=30).stdout
    secrets = dict(re.findall(r"^([A-Z_]+)=(\S+)$", made, re.MULTILINE))
    names = ("SECRET_KEY", "INGEST_SECRET", "METRICS_TOKEN")
    return {
        **{name: secrets[name] for name in names},
        "TLS": "1",
        "ALLOWED_HOSTS": "energy.example.com",
        "DATABASE_URL": f"sqlite:///{folder / 'accounts.sqlite3'}",
    }


def test_production_has_no_issues(tmp_path: Path) -> None:
    done = check_deploy(production(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "System check identified no issues (0 silenced)." in done.stdout + done.stderr


def test_the_check_finds_missing_settings(tmp_path: Path) -> None:
    """Without TLS it must find issues; otherwise the test above could pass without any check."""
    done = check_deploy(production(tmp_path) | {"TLS": "0"})
    assert done.returncode == 1
    found = set(re.findall(r"security\.W\d+", done.stderr))
    assert found == {"security.W004", "security.W008", "security.W012", "security.W016"}
