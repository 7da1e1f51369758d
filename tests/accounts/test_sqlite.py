"""The settings of SQLite, and the response when a request cannot get the write lock in time."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from core.accounts_database import SQLITE_TIMEOUT_S
from testing.process import ROOT
from testing.stack import Stack, manage
from tests.accounts.conftest import NewAccounts
from tests.accounts.site import Site
from tests.auth_app.answers import assert_problem

PRAGMAS = """
import json
from django.db import connection
with connection.cursor() as cursor:
    told = {}
    for name in ("journal_mode", "synchronous", "busy_timeout"):
        told[name] = cursor.execute(f"PRAGMA {name}").fetchone()[0]
print(json.dumps(told))
"""
SYNCHRONOUS_NORMAL = 1


def path_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


def test_commands_use_wal_and_a_long_busy_timeout(stack: Stack, new_sqlite: NewAccounts) -> None:
    printed = manage({**stack.env, "DATABASE_URL": new_sqlite()}, "shell", "--no-imports", "-c", PRAGMAS)
    assert json.loads(printed) == {
        "journal_mode": "wal",
        "synchronous": SYNCHRONOUS_NORMAL,
        "busy_timeout": SQLITE_TIMEOUT_S * 1000,
    }


def test_servers_use_accounts_timeout_ms_as_busy_timeout(stack: Stack, new_sqlite: NewAccounts) -> None:
    env = {**stack.env, "DATABASE_URL": new_sqlite(), "ACCOUNTS_TIMEOUT_MS": "1234"}
    done = subprocess.run(
        [sys.executable, "-c", f"import asgi_project.asgi\n{PRAGMAS}"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told == {"journal_mode": "wal", "synchronous": SYNCHRONOUS_NORMAL, "busy_timeout": 1234}


def test_a_transaction_takes_the_write_lock_at_its_start(stack: Stack, new_sqlite: NewAccounts) -> None:
    """Otherwise two transactions that have both read could never continue, regardless of the timeout."""
    url = new_sqlite()
    attempt = f"""
import sqlite3
from django.db import transaction
with transaction.atomic():
    try:
        sqlite3.connect({path_of(url)!r}, timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        print(error)
"""
    printed = manage({**stack.env, "DATABASE_URL": url}, "shell", "--no-imports", "-c", attempt)
    assert printed == "database is locked\n"


def test_requests_that_wait_too_long_for_the_write_lock_get_503(
    stack: Stack, new_sqlite: NewAccounts, tmp_path: Path
) -> None:
    url = new_sqlite()
    with Site(stack, url, tmp_path, ACCOUNTS_TIMEOUT_MS="500") as site:
        site.register("alice")
        with site.client(site.token("alice")) as http:
            with closing(sqlite3.connect(path_of(url), isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert_problem(http.post("/api/auth/tokens", json={"name": "k"}), 503, code="unavailable")
                assert_problem(site.login("alice"), 503, code="unavailable")
                assert http.get("/api/auth/me").status_code == 200, "readers do not wait"
                assert http.get("/api/latest").status_code == 200
            assert http.post("/api/auth/tokens", json={"name": "k"}).status_code == 201
