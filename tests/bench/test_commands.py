"""Every measurement has help, locust finds the dashboards, and the performance page matches the results."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.__main__ import BENCHES
from bench.report.page import PAGE, RENDERERS, rendered
from testing.process import ROOT

pytestmark = pytest.mark.processes

TIMEOUT_S = 60


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_help_lists_every_measurement() -> None:
    told = run("bench", "--help")
    for name, module in BENCHES.items():
        assert f"\n    {name} " in told
        assert module.__doc__


@pytest.mark.parametrize("name", ["capacity", "soak"])
def test_each_measurement_has_its_own_help(name: str) -> None:
    assert "--no-save" in run("bench", name, "--help")


def test_locust_finds_the_dashboards() -> None:
    assert "Dashboard" in run("locust", "-f", "bench/loads/locustfile.py", "--list")


def test_the_performance_page_matches_the_results() -> None:
    text = PAGE.read_text()
    assert rendered(text) == text, "run ./scripts/bench report"


def test_the_performance_page_has_a_block_for_every_measurement() -> None:
    text = PAGE.read_text()
    assert [name for name in RENDERERS if f"<!-- bench:{name} -->" not in text] == []
