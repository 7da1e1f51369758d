"""manage.py backup_accounts and restore_accounts, on both databases."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.accounts.conftest import NewAccounts
from tests.accounts.site import Site
from tests.accounts.writers import Writers, makes_keys, shares
from tests.auth_app.answers import sign_in
from tests.support.cast import PASSWORD
from tests.support.process import ROOT
from tests.support.stack import Stack, manage

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
    """What the command says on standard error as it refuses."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def migrated(stack: Stack, url: str) -> dict[str, str]:
    """The environment of an accounts database with tables and nobody in it."""
    env = {**stack.env, "DATABASE_URL": url}
    manage(env, "migrate", "--verbosity", "0")
    return env


def test_a_backup_made_while_twenty_write_is_restored_elsewhere(
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
    assert [path for path in tmp_path.iterdir() if backup.name in path.name] == [backup], "no draft is left"
    _assert_holds_no_secret(site, backup, token, session_key, PASSWORD)

    with Site(stack, new_accounts(), tmp_path, SECRET_KEY=site.env["SECRET_KEY"]) as other:
        other.server.stop()
        assert "2 users" in other.manage("restore_accounts", str(backup))
        other.server.start()
        with other.client(token) as http:
            assert http.get("/api/auth/me").json()["username"] == "alice", "tokens are those of the backup"
            assert [seen["device_id"] for seen in http.get("/api/devices").json()] == [device]
        with other.client(other.token("alice")) as http:
            assert http.post("/api/auth/tokens", json={"name": "new"}).status_code == 201, "ids go on counting"
        with httpx.Client(base_url=other.server.url, cookies={"sessionid": session_key}) as browser:
            assert browser.get("/api/auth/me").status_code == 401, "sessions are not in a backup"


def _assert_holds_no_secret(site: Site, backup: Path, *secrets: str) -> None:
    """Neither as it is nor, where it is compressed, as pg_restore unpacks it."""
    content = backup.read_bytes()
    if content.startswith(b"PGDMP"):
        unpack = "from pathlib import Path; from auth_app.backup.postgres import script_of"
        site.manage("shell", "--no-imports", "-c", f"{unpack}; script_of(Path('{backup}'), Path('{backup.parent}'))")
        content += (backup.parent / "restore.sql").read_bytes()
    assert b"alice" in content
    for secret in secrets:
        assert secret.encode() not in content


def test_nothing_is_overwritten_unless_told_so(stack: Stack, new_accounts: NewAccounts, backup: Path) -> None:
    env = migrated(stack, new_accounts())
    backup.write_text("mine")
    assert "--force" in refused(env, "backup_accounts", str(backup))
    assert backup.read_text() == "mine"
    manage(env, "backup_accounts", str(backup), "--force")
    assert backup.stat().st_mode & 0o777 == 0o600

    someone = ("createsuperuser", "--noinput", "--username=someone", "--email=")
    manage({**env, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}, *someone)
    assert "not empty" in refused(env, "restore_accounts", str(backup))
    count = ("shell", "--no-imports", "-c", "from auth_app.models import User; print(User.objects.count())")
    assert manage(env, *count) == "1\n"
    manage(env, "restore_accounts", str(backup), "--force")
    assert manage(env, *count) == "0\n"


def test_a_backup_in_a_folder_that_is_not_there(stack: Stack, new_accounts: NewAccounts, tmp_path: Path) -> None:
    env = migrated(stack, new_accounts())
    assert "No such file" in refused(env, "backup_accounts", str(tmp_path / "nowhere" / "file"))


def test_a_damaged_backup_changes_nothing(stack: Stack, new_accounts: NewAccounts, backup: Path) -> None:
    env = migrated(stack, new_accounts())
    manage(env, "backup_accounts", str(backup))
    whole = backup.read_bytes()
    for part in (whole[: len(whole) // 2], b""):
        backup.write_bytes(part)
        assert re.search("damaged|failed|no backup", refused(env, "restore_accounts", str(backup), "--force"))
    assert "No such file" in refused(env, "restore_accounts", str(backup.with_name("other")))


def test_the_backup_of_a_newer_version_is_refused(stack: Stack, new_sqlite: NewAccounts, backup: Path) -> None:
    env = migrated(stack, new_sqlite())
    manage(env, "backup_accounts", str(backup))
    with closing(sqlite3.connect(backup)) as copy, copy:
        copy.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('auth_app', '9999_future', '')")
    assert "auth_app 9999_future" in refused(env, "restore_accounts", str(backup))


def test_any_other_sqlite_file_is_refused(stack: Stack, new_sqlite: NewAccounts, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as other, other:
        other.execute("CREATE TABLE notes (text)")
    assert "no backup" in refused(migrated(stack, new_sqlite()), "restore_accounts", str(backup))


def test_the_other_kind_of_database_is_named(
    stack: Stack, new_sqlite: NewAccounts, new_postgresql: NewAccounts, backup: Path
) -> None:
    manage(migrated(stack, new_sqlite()), "backup_accounts", str(backup))
    env = {**stack.env, "DATABASE_URL": new_postgresql()}
    assert "no backup of a PostgreSQL database" in refused(env, "restore_accounts", str(backup))


def test_a_database_in_use_is_not_replaced(
    stack: Stack, new_accounts: NewAccounts, tmp_path: Path, backup: Path
) -> None:
    """A server on PostgreSQL keeps a connection; SQLite knows only who reads or writes at this moment."""
    url = new_accounts()
    env = migrated(stack, url)
    manage(env, "backup_accounts", str(backup))
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM auth_app_user").fetchone()
            assert "in use" in refused(env, "restore_accounts", str(backup))
    else:
        with Site(stack, url, tmp_path):
            assert "in use" in refused(env, "restore_accounts", str(backup))
    manage(env, "restore_accounts", str(backup))


def test_where_postgresqls_programs_are_missing_it_says_what_to_install(
    stack: Stack, new_postgresql: NewAccounts, backup: Path, tmp_path: Path
) -> None:
    env = migrated(stack, new_postgresql()) | {"POSTGRES_BIN": str(tmp_path)}
    assert "postgresql-client" in refused(env, "backup_accounts", str(backup))
    assert not backup.exists()


def test_the_password_is_on_no_command_line(
    stack: Stack, new_postgresql: NewAccounts, backup: Path, tmp_path: Path
) -> None:
    """A pg_dump that writes down how it was started, in place of the real one, which leaves no trace to look at."""
    url = new_postgresql()
    spy, seen = tmp_path / "pg_dump", tmp_path / "seen"
    spy.write_text(SPY.format(seen=seen))
    spy.chmod(0o755)
    refused(migrated(stack, url) | {"POSTGRES_BIN": str(tmp_path)}, "backup_accounts", str(backup))
    password = url.split(":")[2].split("@")[0]
    assert "--format=custom" in seen.read_text()
    assert "by environment" in seen.read_text()
    assert password not in seen.read_text()
