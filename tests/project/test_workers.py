"""Several workers on one port: one scrape covers all of them, a dead worker is replaced, and all of them shut down."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from testing.cast import Person
from testing.metrics import Scrape, scrape
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.waiting import wait_until

TOKEN = secrets.token_urlsafe(24)
REQUESTS = 40
SOCKETS = 16


@pytest.fixture
def pair(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """A server with two workers."""
    env = {**stack.env, "METRICS_TOKEN": TOKEN, "SERVER_WORKERS": "2"}
    with server_process(env, tmp_path / "server.log") as process:
        wait_until(lambda: see(process).value("wattstream_workers") == 2, "both workers", deadline_s=60)
        yield process


def see(server: Process) -> Scrape:
    return scrape(server, token=TOKEN)


def workers_of(server: Process) -> set[int]:
    """Return the process ids of a server's workers."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def folder_of(worker: int) -> Path:
    environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
    (found,) = [entry for entry in environment if entry.startswith(b"PROMETHEUS_MULTIPROC_DIR=")]
    return Path(os.fsdecode(found.partition(b"=")[2]))


def is_gone(pid: int) -> bool:
    try:
        return b"\0" not in Path(f"/proc/{pid}/cmdline").read_bytes()  # a zombie has no arguments
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_open(socket: LiveSocket) -> bool:
    """Return whether the socket still answers."""
    try:
        socket.send(type="ping", id="are you there")
        socket.until_type("pong")
    except ConnectionClosed:
        return False
    return True


def me(server: Process, person: Person) -> int:
    headers = {"Authorization": f"Bearer {person.token}"}
    return httpx.get(f"{server.url}/api/auth/me", headers=headers, timeout=20).status_code


def counted(server: Process) -> float:
    return see(server).value("wattstream_http_requests_total", route="/api/auth/me", status="200")


def test_one_scrape_covers_all_workers_even_after_a_kill(pair: Process, alice: Person) -> None:
    before = workers_of(pair)
    assert len(before) == 2
    folder = folder_of(min(before))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {me(pair, alice) for _ in range(REQUESTS)} == {200}
    wait_until(lambda: counted(pair) == REQUESTS, "every request of both workers")
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(LiveSocket(pair.url, person=alice)) for _ in range(SOCKETS)]
        wait_until(lambda: see(pair).value("wattstream_live_sockets") == SOCKETS, "every socket of both workers")
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(workers_of(pair) - before) == 1, "a worker replaced it", deadline_s=60)
        wait_until(lambda: see(pair).value("wattstream_workers") == 2, "both workers again", deadline_s=60)
        survivors = sum(map(is_open, sockets))
        assert survivors < SOCKETS or see(pair).value("wattstream_live_sockets") == SOCKETS
        wait_until(
            lambda: see(pair).value("wattstream_live_sockets") == survivors, "the dead worker's sockets are gone"
        )
        assert counted(pair) == REQUESTS, "counts of the dead worker remain"
        assert me(pair, alice) == 200
        wait_until(lambda: counted(pair) == REQUESTS + 1, "counting continues")
    files = {file.name for file in folder.glob("counter_*.db")}
    assert len(files) == 2, "the new worker reuses the files of the dead one"


def test_sigterm_closes_every_socket_with_1012_and_cleans_up(pair: Process, alice: Person) -> None:
    workers = workers_of(pair)
    folder = folder_of(min(workers))
    with ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(LiveSocket(pair.url, person=alice)) for _ in range(4)]
        for socket in sockets:
            socket.until_type("welcome")
        pair.send_signal(signal.SIGTERM)
        assert [socket.close_code() for socket in sockets] == [1012] * 4
    assert pair.stop() == 0
    assert all(map(is_gone, workers))
    assert not folder.exists()


def test_sighup_replaces_every_worker_while_the_port_stays_open(pair: Process, alice: Person) -> None:
    before = workers_of(pair)
    assert me(pair, alice) == 200
    pair.send_signal(signal.SIGHUP)

    def is_replaced() -> bool:
        # No connection is refused. But a connection that a worker accepts just before its end may close without a
        # response, as HTTP allows (RFC 9112, section 9.5).
        with suppress(httpx.RemoteProtocolError, httpx.ReadError):
            assert httpx.get(f"{pair.url}/livez", timeout=20).status_code == 200
        now = workers_of(pair)
        return len(now) == 2 and now.isdisjoint(before)

    wait_until(is_replaced, "two new workers", deadline_s=90)
    wait_until(lambda: counted(pair) == 1, "counts of the old workers")


def test_workers_end_with_their_supervisor(pair: Process) -> None:
    workers = workers_of(pair)
    pair.stop(signal.SIGKILL)
    wait_until(lambda: all(map(is_gone, workers)), "the workers end", deadline_s=30)


@pytest.mark.parametrize("number", ["0", "-1"])
def test_an_invalid_number_of_workers_is_rejected(number: str, stack: Stack, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asgi_project.server.serve", "--port", "{port}", "--workers", number]
    process = Process(command, env=stack.env, log=tmp_path / "server.log").start(wait=False)
    wait_until(lambda: not process.is_running, "the process exits", deadline_s=60)
    assert f"--workers is {number}; accepted is a whole number, at least 1" in process.log.read_text()
