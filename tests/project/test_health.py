"""GET /livez and /readyz."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path

import httpx

from testing.cast import Person
from testing.process import Process
from testing.servers import server_process
from testing.socket import LiveSocket
from testing.stack import Stack, manage
from testing.waiting import wait_until


def ready(server: Process) -> tuple[int, dict[str, object]]:
    """Request /readyz on a new connection, as a load balancer does."""
    answer = httpx.get(f"{server.url}/readyz", timeout=20)
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.status_code == 503) == ("retry-after" in answer.headers)
    return answer.status_code, answer.json()


def test_readiness_reports_each_part_and_the_age_of_the_heartbeat(server: Process, writer: Process) -> None:
    wait_until(lambda: ready(server)[1]["writer_heartbeat_age_s"] is not None, "a heartbeat")
    status, body = ready(server)
    age_s = body.pop("writer_heartbeat_age_s")
    wait_until(lambda: ready(server)[1]["rollup_lag_s"] is not None, "the rollup has caught up")
    body.pop("rollup_lag_s")
    assert (status, body) == (
        200, {"status": "ok", "telemetry": True, "accounts": True, "redis": True, "draining": False},
    )  # fmt: skip
    assert isinstance(age_s, float)
    assert 0 <= age_s < 60


def test_the_server_is_not_ready_without_redis(stack: Stack, tmp_path: Path) -> None:
    proxy, url = stack.redis_proxy()
    with server_process({**stack.env, "REDIS_URL": url}, tmp_path / "server.log") as server:
        assert ready(server)[0] == 200
        proxy.cut()
        status, body = ready(server)
        assert (status, body["status"], body["redis"], body["telemetry"]) == (503, "unavailable", False, True)
        proxy.restore()
        wait_until(lambda: ready(server)[0] == 200, "ready again")


def test_readiness_does_not_wait_for_a_silent_database(stack: Stack, tmp_path: Path) -> None:
    proxy, url = stack.telemetry_proxy()
    with server_process({**stack.env, "TELEMETRY_URL": url}, tmp_path / "server.log") as server:
        assert ready(server)[0] == 200
        proxy.pause()
        status, body = ready(server)
        assert (status, body["telemetry"], body["accounts"]) == (503, False, True)
        proxy.resume()
        wait_until(lambda: ready(server)[0] == 200, "ready again")


def test_the_server_is_not_ready_without_the_accounts_database(stack: Stack, tmp_path: Path) -> None:
    """A separate file, which is then replaced by random bytes."""
    accounts = tmp_path / "accounts.sqlite3"
    env = {**stack.env, "DATABASE_URL": f"sqlite:///{accounts}"}
    manage(env, "migrate", "--verbosity", "0")
    with server_process(env, tmp_path / "server.log") as server:
        assert ready(server)[0] == 200
        for file in tmp_path.glob("accounts.sqlite3*"):
            file.unlink()
        accounts.write_bytes(secrets.token_bytes(4096))
        status, body = ready(server)
        assert (status, body["accounts"], body["telemetry"]) == (503, False, True)


def test_a_draining_server_is_not_ready_but_keeps_serving(stack: Stack, tmp_path: Path, alice: Person) -> None:
    with server_process({**stack.env, "SHUTDOWN_DRAIN_S": "60"}, tmp_path / "server.log") as server:
        with LiveSocket(server.url, person=alice) as live:
            live.until_type("welcome")
            server.send_signal(signal.SIGTERM)
            wait_until(lambda: ready(server)[1]["status"] == "draining", "draining")
            status, body = ready(server)
            assert (status, body["draining"], body["telemetry"]) == (503, True, True)
            live.send(type="ping", id=1)
            live.until_type("pong")
            me = httpx.get(f"{server.url}/api/auth/me", headers={"Authorization": f"Bearer {alice.token}"}, timeout=20)
            assert me.status_code == 200, "requests are still served"
        wait_until(lambda: not server.is_running, "the exit after the last socket closed")


def test_a_second_signal_ends_the_drain(stack: Stack, tmp_path: Path, alice: Person) -> None:
    env = {**stack.env, "SHUTDOWN_DRAIN_S": "600"}
    with server_process(env, tmp_path / "server.log") as server, LiveSocket(server.url, person=alice) as live:
        live.until_type("welcome")
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: ready(server)[1]["status"] == "draining", "draining")
        server.send_signal(signal.SIGTERM)
        assert live.close_code() == 1012


def test_a_server_without_sockets_stops_immediately(stack: Stack, tmp_path: Path) -> None:
    server = server_process({**stack.env, "SHUTDOWN_DRAIN_S": "600"}, tmp_path / "server.log").start()
    server.send_signal(signal.SIGTERM)
    wait_until(lambda: not server.is_running, "the exit without draining")
