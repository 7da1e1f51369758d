"""`python -m rollup` as a process: help, invalid environments, a backfill, a kill during the backfill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL

from telemetry.tiers import rollup_tiers, tier_table
from testing.process import ROOT
from testing.waiting import wait_until
from tests.rollup.table import Table, assert_right

pytestmark = pytest.mark.processes


def start(table: Table, path: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "TELEMETRY_ADMIN_URL": table.url, "TELEMETRY_CATALOGUE": str(path), "ROLLUP_POLL_MS": "50"}
    return subprocess.Popen(
        [sys.executable, "-m", "rollup", *arguments],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(table: Table, path: Path, *arguments: str) -> str:
    process = start(table, path, *arguments)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return told


def test_a_backfill_ends_and_prints_a_summary(table: Table, catalogue_path: Path) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=2 * 86_400, step=600)
    assert "4 days of devices and 576 readings were rolled up" in run(table, catalogue_path, "--once")
    assert_right(table.url, table.catalogue)


def test_rebuild_repairs_tiers_from_a_day_on(table: Table, catalogue_path: Path) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=2 * 86_400, step=600)
    table.roll_up()
    for tier in rollup_tiers(table.catalogue):
        table.connection.execute(SQL("UPDATE {} SET count = 7").format(tier_table(table.catalogue, tier)))
    told = run(table, catalogue_path, "--once", "--rebuild", "2026-03-02")
    assert "2 days of devices are to be built again" in told
    assert {count for (_, day), (count, *_) in table.rows("1d").items() if day.day == 1} == {7}
    assert "4 days of devices are to be built again" in run(table, catalogue_path, "--once", "--rebuild")
    assert_right(table.url, table.catalogue)


def test_a_killed_rollup_leaves_consistent_tiers(table: Table, catalogue_path: Path) -> None:
    table.fill("2026-03-01T00:00:00Z", seconds=20 * 86_400, step=60)
    process = start(table, catalogue_path)
    try:
        wait_until(lambda: table.rows("1d") != {}, "the first day is rolled up", deadline_s=60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert_right(table.url, table.catalogue)
    table.roll_up()
    assert table.log() == []
    assert_right(table.url, table.catalogue)


def test_a_signal_ends_it_with_success(table: Table, catalogue_path: Path) -> None:
    process = start(table, catalogue_path)
    table.fill("2026-03-01T00:00:00Z", seconds=3_600, step=60)
    try:
        wait_until(lambda: table.log() == [], "the hour is rolled up", deadline_s=60)
    finally:
        process.terminate()
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told


def test_the_rollup_continues_after_its_session_was_terminated(table: Table, catalogue_path: Path) -> None:
    process = start(table, catalogue_path)
    try:
        table.fill("2026-03-01T00:00:00Z", seconds=3_600, step=60)
        wait_until(lambda: table.log() == [], "the hour is rolled up", deadline_s=60)
        with psycopg.connect(table.url, autocommit=True, connect_timeout=5) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'wattstream rollup' AND datname = current_database()"
            )
        table.fill("2026-03-02T00:00:00Z", seconds=3_600, step=60)
        wait_until(lambda: table.log() == [], "the second hour is rolled up", deadline_s=60)
    finally:
        process.terminate()
        told, _ = process.communicate(timeout=60)
    assert "not rolling up, will go on trying" in told


@pytest.mark.parametrize(
    ("env", "detail"),
    [
        ({"TELEMETRY_ADMIN_URL": ""}, "TELEMETRY_ADMIN_URL is not set"),
        ({"TELEMETRY_ADMIN_URL": "nonsense with spaces"}, "TELEMETRY_ADMIN_URL is not a PostgreSQL URL"),
        ({"ROLLUP_POLL_MS": "soon"}, "ROLLUP_POLL_MS is 'soon'"),
        ({"TELEMETRY_CATALOGUE": "/nowhere.toml"}, "/nowhere.toml cannot be read"),
    ],
)
def test_an_invalid_environment_is_named(env: dict[str, str], detail: str) -> None:
    base = {**os.environ, "TELEMETRY_ADMIN_URL": "postgresql://127.0.0.1/none"}
    command = [sys.executable, "-m", "rollup"]
    done = subprocess.run(
        command, cwd=ROOT, env=base | env, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == 1
    assert detail in done.stderr
    assert len(done.stderr.splitlines()) == 1
