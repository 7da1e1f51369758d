"""Accounts on PostgreSQL, which several servers share; a SQLite file exists on one machine only."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack, manage
from testing.waiting import wait_until

pytestmark = pytest.mark.processes

PASSWORD = "correct-horse-battery"


@pytest.fixture
def env(stack: Stack) -> Iterator[dict[str, str]]:
    """The databases of the test with an empty accounts database."""
    told = conninfo_to_dict(stack.env["TELEMETRY_ADMIN_URL"])
    database = f"accounts_{secrets.token_hex(4)}"
    with psycopg.connect(stack.env["TELEMETRY_ADMIN_URL"], autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        try:
            url = f"postgresql://{told['user']}:{told['password']}@{told['host']}:{told['port']}/{database}"
            yield {**stack.env, "DATABASE_URL": url}
        finally:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


@pytest.fixture
def servers(env: dict[str, str], tmp_path: Path) -> Iterator[list[Process]]:
    """Two servers that start at the same time on an empty database."""
    with ExitStack() as cleanup:
        both = []
        for number in (1, 2):
            own = {**env, "STATIC_ROOT": str(tmp_path / f"static-{number}")}
            server = server_process(own, tmp_path / f"server-{number}.log")
            cleanup.callback(server.stop)
            both.append(server.start(wait=False))
        for server in both:
            wait_until(partial(answers, server), f"it serves, see {server.log}", deadline_s=60)
        yield both


def answers(server: Process) -> bool:
    assert server.is_running, server.log.read_text()[-2000:]
    try:
        return httpx.get(f"{server.url}/livez", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def test_changes_at_one_server_apply_at_the_other(servers: list[Process], env: dict[str, str]) -> None:
    one, other = (httpx.Client(base_url=server.url, timeout=30) for server in servers)
    device_id = f"ems_{secrets.token_hex(4)}"
    code = re.search(r"claim code: (\S+)", manage(env, "provision_device", device_id))
    assert code
    with one, other:
        name = f"user_{secrets.token_hex(4)}"
        assert one.post("/api/auth/register", json={"username": name, "password": PASSWORD}).status_code == 201
        token = other.post("/api/auth/login", json={"username": name, "password": PASSWORD}).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        claim = {"device_id": device_id, "claim_code": code[1]}
        assert one.post("/api/devices/claim", json=claim, headers=headers).status_code == 201
        assert other.get(f"/api/history/{device_id}", headers=headers).status_code == 200
        assert one.post("/api/auth/logout", headers=headers).status_code == 204
        # Redis carries the change: not immediate, but long before the cached decision expires.
        wait_until(
            lambda: other.get(f"/api/history/{device_id}", headers=headers).status_code == 401,
            "signed out",
            deadline_s=3,
        )
