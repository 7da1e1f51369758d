"""Without the accounts database every request gets a fast 503, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from psycopg import sql

from testing.servers import server_process
from testing.stack import Stack
from tests.auth_app.answers import assert_problem, csrf_field


@pytest.fixture(scope="module")
def away(stack: Stack, logs: Path) -> Iterator[httpx.Client]:
    """A client of a server whose accounts database, a PostgreSQL, became unavailable after the start."""
    name = sql.Identifier(f"{stack.database}_away")
    proxy, url = stack.telemetry_proxy(admin=True)
    env = {**stack.env, "DATABASE_URL": urlsplit(url)._replace(path=f"/{stack.database}_away").geturl()}
    with stack.admin() as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        with (
            server_process(env, logs / "away.log") as process,
            httpx.Client(base_url=process.url, timeout=30) as client,
        ):
            proxy.cut()
            yield client
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_login_gets_503(away: httpx.Client) -> None:
    assert_problem(away.post("/api/auth/login", json={"username": "a", "password": "b"}), 503, code="unavailable")


@pytest.mark.parametrize("url", ["/api/auth/me", "/api/devices", "/api/devices/ems_001"])
def test_every_route_gets_503(away: httpx.Client, url: str) -> None:
    assert_problem(away.get(url, headers={"Authorization": "Bearer abc"}), 503, code="unavailable")


def test_the_login_page_gets_503(away: httpx.Client) -> None:
    assert away.get("/login").status_code == 200
    page = away.post("/login", data={"username": "a", "password": "b", **csrf_field(away)})
    assert page.status_code == 503
    assert int(page.headers["retry-after"]) > 0
    assert "does not answer" in page.text
