"""manage.py backup_accounts and restore_accounts on both databases."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from testing.accounts import accounts_create
from testing.cast import PASSWORD
from testing.process import ROOT
from testing.stack import Stack, manage
from tests.accounts.conftest import NewAccounts
from tests.accounts.site import Site
from tests.accounts.writers import Writers, makes_keys, shares
from tests.auth_app.answers import sign_in

SPY = """#!/bin/sh
[ "$1" = --version ] && exec echo "pg_dump (PostgreSQL) 99.0"
echo "$@" > {seen}
[ -n "$PGPASSWORD" ] && echo by environment >> {seen}
exit 1
"""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "accounts.backup"


def refused(env: dict[str, str], *arguments: str) -> str:
    """Run a command that must fail and return its standard error."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@dataclass(frozen=True)
class Empty:
    """The environment of an accounts database with tables but no rows, and its backup."""

    env: dict[str, str]
    backup: Path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Empty]:
    """One database of each kind per module; tests leave it empty."""
    folder = tmp_path_factory.mktemp("empty")
    accounts = accounts_create(stack.env["TELEMETRY_ADMIN_URL"]) if request.param == "postgresql" else None
    url = accounts.url if accounts else f"sqlite:///{folder / 'accounts.sqlite3'}"
    env = {**stack.env, "DATABASE_URL": url}
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "backup_accounts", str(folder / "backup"))
    yield Empty(env, folder / "backup")
    if accounts:
        accounts.drop()


def test_a_backup_during_concurrent_writes_restores_elsewhere(
    stack: Stack, new_accounts: NewAccounts, tmp_path: Path, backup: Path
) -> None:
    with Site(stack, new_accounts(), tmp_path) as site:
        site.register("alice")
        site.register("bob")
        device = site.device("alice")
        token = site.token("alice")
        with httpx.Client(base_url=site.server.url) as browser:
            assert sign_in(browser, "alice", PASSWORD).status_code == 302
            session_key = browser.cookies["sessionid"]
        writers = Writers(site, token, [makes_keys] * 12 + [shares(device, "bob")] * 8, endless=True)
        printed = site.manage("backup_accounts", str(backup))
        answers = writers.finish()
        assert {answer.status_code for answer in answers} == {200, 201, 204}
    assert f"restore_accounts {backup}" in printed
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path for path in tmp_path.iterdir() if backup.name in path.name] == [backup], "no temporary file is left"
    _assert_holds_no_secret(site, backup, token, session_key, PASSWORD)

    other = Site(stack, new_accounts(), tmp_path, SECRET_KEY=site.env["SECRET_KEY"])
    assert "2 users" in other.manage("restore_accounts", str(backup))
    for database in tmp_path.glob("*.sqlite3"):
        assert database.stat().st_mode & 0o777 == 0o600, "readable by its owner only"
    with other:
        with other.client(token) as http:
            assert http.get("/api/auth/me").json()["username"] == "alice", "tokens come from the backup"
            assert [seen["device_id"] for seen in http.get("/api/devices").json()] == [device]
        with other.client(other.token("alice")) as http:
            assert http.post("/api/auth/tokens", json={"name": "new"}).status_code == 201, "ids continue"
        with httpx.Client(base_url=other.server.url, cookies={"sessionid": session_key}) as browser:
            assert browser.get("/api/auth/me").status_code == 401, "a backup contains no sessions"


def _assert_holds_no_secret(site: Site, backup: Path, *secrets: str) -> None:
    """Fail if the backup contains a secret, also after pg_restore has unpacked it."""
    content = backup.read_bytes()
    if content.startswith(b"PGDMP"):
        unpack = "from pathlib import Path; from auth_app.backup.postgres import script_of"
        site.manage("shell", "--no-imports", "-c", f"{unpack}; script_of(Path('{backup}'), Path('{backup.parent}'))")
        content += (backup.parent / "restore.sql").read_bytes()
    assert b"alice" in content
    for secret in secrets:
        assert secret.encode() not in content


def test_existing_files_and_users_are_kept_without_force(empty: Empty, backup: Path) -> None:
    backup.write_text("mine")
    assert "--force" in refused(empty.env, "backup_accounts", str(backup))
    assert backup.read_text() == "mine"
    manage(empty.env, "backup_accounts", str(backup), "--force")
    assert backup.stat().st_mode & 0o777 == 0o600

    someone = ("createsuperuser", "--noinput", "--username=someone", "--email=")
    manage({**empty.env, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}, *someone)
    assert "not empty, it has users" in refused(empty.env, "restore_accounts", str(backup))
    assert "0 users" in manage(empty.env, "restore_accounts", str(backup), "--force")


def test_a_damaged_backup_is_rejected(empty: Empty, backup: Path) -> None:
    whole = empty.backup.read_bytes()
    backup.write_bytes(whole[: len(whole) // 2])
    assert re.search("damaged|failed", refused(empty.env, "restore_accounts", str(backup), "--force"))


def test_a_database_in_use_is_not_replaced(empty: Empty) -> None:
    """PostgreSQL knows all connections; SQLite only current readers and writers."""
    url = empty.env["DATABASE_URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM auth_app_user").fetchone()
            assert "in use" in refused(empty.env, "restore_accounts", str(empty.backup))
    else:
        with psycopg.connect(url, connect_timeout=5):
            assert "in use by 1" in refused(empty.env, "restore_accounts", str(empty.backup))


def test_missing_files_and_folders_are_reported(empty: Empty, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere" / "file")
    for command in ("backup_accounts", "restore_accounts"):
        assert "No such file" in refused(empty.env, command, nowhere)


def test_backups_of_other_databases_and_versions_are_rejected(empty: Empty, backup: Path) -> None:
    if not empty.env["DATABASE_URL"].startswith("sqlite"):
        with closing(sqlite3.connect(backup)) as other, other:
            other.execute("CREATE TABLE notes (text)")
        assert "no backup of a PostgreSQL database" in refused(empty.env, "restore_accounts", str(backup))
        return
    backup.write_bytes(b"PGDMP")
    assert "no backup of a SQLite database" in refused(empty.env, "restore_accounts", str(backup))
    backup.write_bytes(empty.backup.read_bytes())
    with closing(sqlite3.connect(backup)) as copy, copy:
        copy.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('auth_app', '9999_future', '')")
    assert "auth_app 9999_future" in refused(empty.env, "restore_accounts", str(backup))
    with closing(sqlite3.connect(backup)) as copy, copy:
        copy.execute("DELETE FROM django_migrations")
    assert "no backup of a wattstream" in refused(empty.env, "restore_accounts", str(backup))


def test_pg_dump_is_required_and_gets_the_password_by_environment(
    stack: Stack, new_postgresql: NewAccounts, tmp_path: Path
) -> None:
    """Without pg_dump the command says so. A substitute pg_dump then records its arguments, which the real one cannot.

    The password must not be among the arguments, which every user of the machine can read.
    """
    url, backup = new_postgresql(), tmp_path / "backup"
    env = {**stack.env, "DATABASE_URL": url, "POSTGRES_BIN": str(tmp_path)}
    manage(env, "migrate", "--verbosity", "0")
    assert "postgresql-client" in refused(env, "backup_accounts", str(backup))
    spy, seen = tmp_path / "pg_dump", tmp_path / "seen"
    spy.write_text(SPY.format(seen=seen))
    spy.chmod(0o755)
    refused(env, "backup_accounts", str(backup))
    assert "--format=custom" in seen.read_text()
    assert "by environment" in seen.read_text()
    assert url.split(":")[2].split("@")[0] not in seen.read_text()
    assert not backup.exists()
