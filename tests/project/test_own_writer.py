"""docs/own-writer.md, executed literally: an existing writer and an existing hypertable are connected."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from telemetry.times import us_from_iso
from testing.databases import database_drop, url_of
from testing.docs import Shell, block, clean_env
from testing.process import ROOT, free_port
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us
from testing.waiting import wait_until

PAGE = "own-writer.md"
LOCAL = ROOT / ".local"
FILES = {"my_writer.py": ("python", "FastAPI("), "live.py": ("python", "class Live"), "inverter.toml": ("toml", "ts")}
ADDED = "# +"
PASSWORD = "correct-horse-battery"


@pytest.fixture
def env(stack: Stack, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The terminal of a user whose database is new to wattstream."""
    name = f"wattstream_test_own_{secrets.token_hex(4)}"
    urls = {
        variable: url_of(conninfo_to_dict(stack.env[variable]) | {"dbname": name})
        for variable in ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL")
    }
    with stack.admin() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(urls["TELEMETRY_ADMIN_URL"], autocommit=True) as connection:
        connection.execute(block(PAGE, "sql", "inverter_log").encode())
    yield clean_env(
        **urls,
        REDIS_URL=stack.env["REDIS_URL"],
        DATABASE_URL=f"sqlite:///{tmp_path / 'accounts.sqlite3'}",
        STATIC_ROOT=str(tmp_path / "static"),
        ALLOW_REGISTRATION="1",
    )
    database_drop(stack.env["TELEMETRY_ADMIN_URL"], name)


@pytest.fixture
def files() -> Iterator[None]:
    """The files of the page as it says to save them: the writer without the lines that the page adds later."""
    for name, (language, containing) in FILES.items():
        (LOCAL / name).write_text(block(PAGE, language, containing))
    writer = LOCAL / "my_writer.py"
    writer.write_text("".join(line for line in writer.read_text().splitlines(True) if ADDED not in line))
    yield
    for name in FILES:
        (LOCAL / name).unlink()


class Follower:
    """Executes the steps of the page with free ports."""

    def __init__(self, shell: Shell, folder: Path) -> None:
        self.shell = shell
        self._folder = folder
        self._ports = {"9000": free_port(), "8000": free_port()}

    def step(self, containing: str) -> str:
        return self.shell.run(self._text(containing))

    def begin(self, containing: str, path: str) -> str:
        """Start a server and return its address when it answers."""
        text = self._text(containing)
        self.shell.start(text, self._folder / "server.log")
        url = f"http://127.0.0.1:{text.rpartition(' ')[2].strip()}"
        wait_until(lambda: _answers(url + path), f"{text} answers, see {self._folder}/server.log", deadline_s=60)
        return url

    def _text(self, containing: str) -> str:
        text = block(PAGE, "sh", containing)
        for told, free in self._ports.items():
            text = re.sub(rf"\b{told}\b", str(free), text)
        return text


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False


def test_an_existing_writer_and_hypertable_are_connected(env: dict[str, str], files: None, tmp_path: Path) -> None:
    with Shell(env) as shell:
        follower = Follower(shell, tmp_path)
        follower.step("SECRET_KEY")
        with Shell({**env, "PATH": f"{ROOT / '.venv/bin'}:{env['PATH']}"}) as before:
            as_it_was = Follower(before, tmp_path)
            as_it_was.begin("uvicorn", "/docs")
            as_it_was.step("curl -sS --fail-with-body http")

        printed = follower.step("telemetry_schema --apply")
        assert "may only SELECT" in printed
        assert re.search(r"\d+ readings were rolled up; nothing more is due", printed)

        writer = LOCAL / "my_writer.py"
        writer.write_text(block(PAGE, *FILES["my_writer.py"]))
        follower.begin("uvicorn", "/docs")
        url = follower.begin("./scripts/serve", "/livez")
        code = re.search(r"^claim code: (\S+)$", follower.step("provision_device INV-0042"), re.MULTILINE)
        assert code is not None
        see(url, code[1], follower)


def see(url: str, code: str, follower: Follower) -> None:
    """Claim the device: stored readings are history, and a new reading arrives live exactly once."""
    with httpx.Client(base_url=url, timeout=30) as http:
        login = {"username": f"ines_{secrets.token_hex(4)}", "password": PASSWORD}
        http.post("/api/auth/register", json=login).raise_for_status()
        headers = {"Authorization": f"Bearer {http.post('/api/auth/login', json=login).json()['token']}"}
        http.headers.update(headers)
        http.post("/api/devices/claim", json={"device_id": "INV-0042", "claim_code": code}).raise_for_status()
        answer = http.get("/api/history/INV-0042?range=1h&resolution=1m&fill=none").json()
        assert answer["source"] == "inverter_log_1m"
        assert [values["avg"] for values in answer["metrics"].values()] == [[2150.0], [480.0]]
        with LiveSocket(url, headers=headers) as live:
            live.subscribe("INV-0042", since=answer["cursor"])
            live.until_type("subscribed")
            wait_until(lambda: _next_second(answer["cursor"]), "a second without a reading")
            follower.step("curl -sS --fail-with-body http")
            live.until(lambda _: bool(live.times("INV-0042")))
        newer = http.get("/api/history/INV-0042?range=1h&resolution=raw").json()
        assert newer["metrics"]["solar_power"]["avg"] == [2150.0, 2150.0]
        assert live.times("INV-0042") == [us_from_iso(newer["cursor"])]


def _next_second(cursor: str) -> bool:
    return now_us() // 1_000_000 > us_from_iso(cursor) // 1_000_000
