"""End to end with faults: the real writer stores and publishes, the real server joins history and live."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import redis

from core.catalogue import CATALOGUE
from telemetry.keys import device_key
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from testing.cast import Person
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import server_process, writer_process
from testing.socket import LiveSocket
from testing.stack import Stack
from testing.telemetry import now_us, reading_at
from testing.waiting import wait_until


@dataclass
class House:
    """A writer and a server behind proxies that can cut their connections, and a device that reports on request."""

    writer: Process
    server: Process
    store_proxy: TcpProxy
    redis_proxy: TcpProxy
    stack: Stack
    device: str
    last_us: int

    def report(self, count: int) -> list[Reading]:
        """Send `count` more readings, one request each, their times one second apart."""
        key = device_key(self.stack.env["INGEST_SECRET"], self.device)
        sent = []
        with httpx.Client(base_url=self.writer.url, headers={"Authorization": f"Bearer {key}"}) as http:
            for _ in range(count):
                self.last_us += SECOND_US
                reading = reading_at(self.device, self.last_us)
                flat = dict(zip(CATALOGUE.names, reading.values, strict=True))
                body = {"device_id": self.device, "time": iso_from_us(reading.us), **flat}
                answer = http.post("/ingest", json=body)
                assert answer.status_code == 200, answer.text
                sent.append(reading)
        return sent

    def stored(self) -> list[int]:
        """The times (µs) stored in TimescaleDB, in order: the expected result."""
        with self.stack.admin() as connection:
            rows = connection.execute(
                "SELECT time FROM energy_data WHERE device_id = %s ORDER BY time", [self.device]
            ).fetchall()
        return [us_from_datetime(row[0]) for row in rows]  # type: ignore[arg-type]

    def history(self, person: Person) -> tuple[list[int], str | None]:
        answer = httpx.get(
            f"{self.server.url}/api/history/{self.device}",
            params={"range": "30m", "resolution": "raw"},
            headers={"Authorization": f"Bearer {person.token}"},
        )
        assert answer.status_code == 200, answer.text
        return [ms * 1000 for ms in answer.json()["time"]], answer.json()["cursor"]


@pytest.fixture
def house(stack: Stack, logs: Path, tmp_path: Path, alice: Person, device: str) -> Iterator[House]:
    store_proxy, admin_url = stack.telemetry_proxy(admin=True)
    redis_proxy, redis_url = stack.redis_proxy()
    with (
        writer_process({**stack.env, "TELEMETRY_ADMIN_URL": admin_url}, tmp_path / "writer.log") as writer,
        server_process({**stack.env, "REDIS_URL": redis_url}, tmp_path / "server.log") as server,
    ):
        yield House(writer, server, store_proxy, redis_proxy, stack, device, now_us() - 900 * SECOND_US)


def assert_all_arrived(house: House, known: list[int], live: LiveSocket, sent: list[Reading]) -> None:
    """History and live together are exactly the stored readings, each once, in order."""
    wait_until(lambda: len(house.stored()) == len(sent), "every reading stored")
    if sent[-1].us not in known:
        live.until_time(house.device, sent[-1].us)
    assert known + live.times(house.device) == house.stored() == [reading.us for reading in sent]


def test_history_and_live_join_while_the_store_lags(house: House, alice: Person) -> None:
    sent = house.report(20)
    wait_until(lambda: len(house.stored()) == 20, "the first readings stored")
    house.store_proxy.pause()
    sent += house.report(20)
    known, cursor = house.history(alice)
    assert len(known) == 20  # the store lags
    with LiveSocket(house.server.url, person=alice) as live:
        live.subscribe(house.device, since=cursor)
        live.until_type("subscribed")
        sent += house.report(10)
        live.until_time(house.device, sent[-1].us)
        assert house.stored() == known
        house.store_proxy.resume()
        assert_all_arrived(house, known, live, sent)


def test_killed_redis_connections_of_the_server_lose_nothing(house: House, alice: Person) -> None:
    sent = house.report(10)
    wait_until(lambda: len(house.stored()) == 10, "the first readings stored")
    known, cursor = house.history(alice)
    with LiveSocket(house.server.url, person=alice) as live:
        live.subscribe(house.device, since=cursor)
        live.until_type("subscribed")
        for _ in range(3):
            sent += house.report(3)
            house.redis_proxy.kill_connections()
            sent += house.report(3)
        house.redis_proxy.cut()
        sent += house.report(5)
        house.redis_proxy.restore()
        sent += house.report(5)
        assert_all_arrived(house, known, live, sent)
        assert not [frame for frame in live.frames if frame["type"] in ("gap", "revoked")]


def test_a_silent_connection_is_detected_and_replaced(house: House, alice: Person) -> None:
    sent = house.report(5)
    with LiveSocket(house.server.url, person=alice) as live:
        live.subscribe(house.device, since=iso_from_us(sent[0].us - SECOND_US))
        live.until_time(house.device, sent[-1].us)
        house.redis_proxy.pause()
        sent += house.report(5)
        # New connections pass, the old ones stay silent: half-open, as after a router lost its state.
        accepted = house.redis_proxy.connections_accepted
        wait_until(lambda: house.redis_proxy.connections_accepted > accepted, "the server reconnects")
        house.redis_proxy.resume()
        assert_all_arrived(house, [], live, sent)


def test_readings_of_a_lost_ring_come_from_the_database(house: House, alice: Person) -> None:
    sent = house.report(10)
    with LiveSocket(house.server.url, person=alice) as live:
        live.subscribe(house.device, since=iso_from_us(sent[0].us - SECOND_US))
        live.until_time(house.device, sent[-1].us)
        house.redis_proxy.cut()
        sent += house.report(10)
        with redis.Redis.from_url(house.stack.env["REDIS_URL"]) as client:
            client.delete(f"telemetry:ring:{house.device}")
        sent += house.report(5)
        house.redis_proxy.restore()
        sent += house.report(5)
        assert_all_arrived(house, [], live, sent)


def test_a_reconnecting_client_misses_nothing(house: House, alice: Person) -> None:
    sent = house.report(5)
    times: list[int] = []
    cursor: str | None = iso_from_us(sent[0].us - SECOND_US)
    stop = threading.Event()

    def keep_reporting() -> None:
        while not stop.is_set():
            sent.extend(house.report(1))

    reporter = threading.Thread(target=keep_reporting)
    reporter.start()
    try:
        for _ in range(5):
            with LiveSocket(house.server.url, person=alice) as live:
                live.subscribe(house.device, since=cursor)
                live.until(lambda frame: frame["type"] == "reading")
                times += live.times(house.device)
                cursor = iso_from_us(times[-1])
    finally:
        stop.set()
        reporter.join()
    with LiveSocket(house.server.url, person=alice) as live:
        live.subscribe(house.device, since=cursor)
        assert_all_arrived(house, times, live, sent)


def test_malformed_readings_are_dropped_and_the_stream_continues(house: House, alice: Person) -> None:
    rubbish = ["", "nonsense", "[]", "{}", '{"device_id": "other", "time": "2026-01-01T00:00:00Z"}', b"\xff\xfe"]
    with LiveSocket(house.server.url, person=alice) as live:
        live.subscribe(house.device)
        live.until_type("subscribed")
        with redis.Redis.from_url(house.stack.env["REDIS_URL"]) as client:
            for payload in rubbish:
                client.publish(f"telemetry:live:{house.device}", payload)
                client.xadd(f"telemetry:ring:{house.device}", {"reading": payload})
        sent = house.report(3)
        live.until_time(house.device, sent[-1].us)
        assert live.times(house.device) == [reading.us for reading in sent]
    with LiveSocket(house.server.url, person=alice) as again:
        again.subscribe(house.device, since=iso_from_us(sent[0].us))
        again.until_time(house.device, sent[-1].us)
        assert again.times(house.device) == [reading.us for reading in sent[1:]]


def test_the_server_starts_without_redis_and_tickets_get_503(
    stack: Stack, tmp_path: Path, alice: Person, device: str
) -> None:
    proxy, url = stack.redis_proxy()
    proxy.cut()
    with server_process({**stack.env, "REDIS_URL": url}, tmp_path / "no-redis.log") as server:
        headers = {"Authorization": f"Bearer {alice.token}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=30) as http:
            answer = http.post("/api/auth/ws-ticket")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert http.get("/readyz").status_code == 503
            assert http.get(f"/api/history/{device}").status_code == 200
            with LiveSocket(server.url, person=alice) as live:
                live.subscribe(device)
                live.send(type="ping", id=1)
                live.until_type("pong")
                assert [frame["type"] for frame in live.frames] == ["welcome", "pong"]  # no false report
                proxy.restore()
                assert live.until_type("subscribed")["device_id"] == device
            wait_until(lambda: http.get("/readyz").status_code == 200, "ready again")
