"""GET /api/history/{device_id}/export on the real server and database, and the reasons to end it early."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from core.catalogue import CATALOGUE
from history_app.export import accepts_gzip
from telemetry.times import SECOND_US, datetime_from_us, iso_from_us
from testing.cast import Person, device_create, device_share
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import daphne_process, server_process
from testing.stack import Stack
from testing.stalled import resident_bytes
from testing.telemetry import readings_each_second, store
from testing.waiting import wait_until
from tests.history_app.test_history import refused, us

START = us("2026-06-15T12:00:00Z")
MANY = 120_000  # about 20 MB: more than the sockets between server and client can hold
SCANNING = "datname = current_database() AND application_name = 'wattstream export'"


@pytest.fixture(scope="module")
def large(stack: Stack) -> str:
    """The id of a device with MANY readings from START on, one per second. It has no owner yet."""
    device_id = device_create()
    columns = ", ".join(metric.column for metric in CATALOGUE.metrics)
    values = ", ".join("random()" for _ in CATALOGUE.metrics)
    with stack.admin() as connection:
        connection.execute(
            f"INSERT INTO energy_data (time, device_id, {columns}) SELECT %s + n * interval '1 second', %s, {values}"
            " FROM generate_series(0, %s) AS n",
            [datetime_from_us(START), device_id, MANY - 1],
        )
    return device_id


@pytest.fixture
def path(large: str, alice: Person) -> str:
    """The path of the complete export of `large`, which alice may read."""
    from devices_app.models import Device

    Device.objects.filter(device_id=large).update(owner=alice.user)
    return f"/api/history/{large}/export?start={iso_from_us(START)}&end={iso_from_us(START + MANY * SECOND_US)}"


@pytest.fixture(scope="module")
def strict(stack: Stack, logs: Path) -> Iterator[tuple[Process, TcpProxy]]:
    """A server that runs one export at a time and waits 1 s for a client, and its proxy to the database."""
    proxy, url = stack.telemetry_proxy()
    env = {**stack.env, "TELEMETRY_URL": url, "EXPORTS_AT_ONCE": "1", "EXPORT_STALL_TIMEOUT_S": "1"}
    with server_process(env, logs / "export.log") as server:
        yield server, proxy


@pytest.fixture(scope="module")
def daphne(stack: Stack, logs: Path) -> Iterator[Process]:
    """Daphne with a wait of 1 s for a client."""
    with daphne_process({**stack.env, "EXPORT_STALL_TIMEOUT_S": "1"}, logs / "export_daphne.log") as process:
        yield process


def client_of(person: Person, url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {person.token}"}, timeout=30)


def scans(stack: Stack) -> int:
    """Return the number of running export statements in the database."""
    with stack.admin() as connection:
        row = connection.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {SCANNING}").fetchone()
    assert row is not None
    return int(str(row[0]))


@contextmanager
def begun(stack: Stack, url: str, person: Person, path: str) -> Iterator[socket.socket]:
    """Start an export and read only its first bytes."""
    host, port = url.removeprefix("http://").split(":")
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect((host, int(port)))
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {person.token}\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: scans(stack) == 1, "the export is running")
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    received = bytearray()
    while chunk := connection.recv(1 << 20):
        received += chunk
        if received.endswith(b"\r\n0\r\n\r\n"):
            break
    return bytes(received)


def test_csv_contains_every_reading_oldest_first(stack: Stack, alice: Person, device: str) -> None:
    store(stack, readings_each_second(device, START, 2_501))
    answer = alice.http.get(
        f"/api/history/{device}/export",
        params={"start": iso_from_us(START), "end": iso_from_us(START + 2_500 * SECOND_US)},
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="{device}_20260615T120000Z_20260615T124140Z.csv"'
    )
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["time", *CATALOGUE.names]
    assert [row[0] for row in rows[1:]] == [iso_from_us(START + second * SECOND_US) for second in range(2_500)]
    assert rows[8] == ["2026-06-15T12:00:07.000Z", *(str(7.0 + index) for index in range(len(CATALOGUE.names)))]


def test_ndjson_has_the_flat_form_of_a_reading(stack: Stack, alice: Person, device: str) -> None:
    with stack.admin() as connection:
        connection.execute(
            "INSERT INTO energy_data (time, device_id, solar_power) VALUES (%s, %s, 4.5)", [iso_from_us(START), device]
        )
    asked = {"start": "2026-06-15T14:00", "range": None, "tz": "Europe/Berlin", "format": "ndjson"}
    parameters = {key: value for key, value in asked.items() if value}
    answer = alice.http.get(f"/api/history/{device}/export", params={**parameters, "metrics": "solar_power,load_power"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"device_id": device, "time": iso_from_us(START), "solar_power": 4.5, "load_power": None}
    ]


def test_gzip_is_used_only_if_the_client_accepts_it(stack: Stack, alice: Person, device: str) -> None:
    store(stack, readings_each_second(device, START, 1_500))
    url = f"/api/history/{device}/export?start={iso_from_us(START)}"
    plain = alice.http.get(url, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in plain.headers
    with alice.http.stream("GET", url, headers={"Accept-Encoding": "br, gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("", False), ("gzip", True), ("GZIP;q=0.5", True), ("gzip; q=0", False), ("*", True), ("*, gzip;q=0", False),
     ("identity", False), ("gzip;q=x", False)],
)  # fmt: skip
def test_accept_encoding(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_an_empty_window_returns_only_the_header(alice: Person, device: str) -> None:
    assert alice.http.get(f"/api/history/{device}/export?range=1h").text == f"time,{','.join(CATALOGUE.names)}\r\n"
    assert alice.http.get(f"/api/history/{device}/export?range=1h&format=ndjson").text == ""


def test_head_returns_the_headers_without_a_query(strict: tuple[Process, TcpProxy], alice: Person,
                                               device: str) -> None:  # fmt: skip
    server, proxy = strict
    accepted = proxy.connections_accepted
    with client_of(alice, server.url) as client:
        answer = client.head(f"/api/history/{device}/export?range=1h")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
        assert client.get("/livez").status_code == 200
    assert proxy.connections_accepted == accepted


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("", "start"), ("start=yesterday", "start"), ("range=1h&format=xml", "format"), ("range=1h&agg=avg", "agg"),
     ("range=soon", "range"), ("range=1h&metrics=nonsense", "metrics"), ("range=1h&tz=Mars", "tz"),
     ("start=2026-02-01&end=2026-01-01", "start"), ("range=1h&end=never", "end")],
)  # fmt: skip
def test_an_invalid_parameter_is_named(alice: Person, device: str, query: str, parameter: str) -> None:
    refused(alice.http.get(f"/api/history/{device}/export?{query}"), 400, parameter)


def test_foreign_and_anonymous_requests_are_refused(charlie: Person, anonymous: httpx.Client, device: str) -> None:
    foreign = charlie.http.get(f"/api/history/{device}/export?range=1h")
    refused(foreign, 403, "device")
    assert charlie.http.get("/api/history/no-such-device/export").content == foreign.content
    refused(anonymous.get(f"/api/history/{device}/export?range=1h"), 401, "Sign in")


def test_a_large_export_uses_bounded_memory(server: Process, alice: Person, path: str) -> None:
    def peak_kb() -> int:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.pid}/status").read_text())
        assert found
        return int(found[1])

    alice.http.get(path.replace("/export", "").split("?")[0])
    before, lines, size = peak_kb(), 0, 0
    with alice.http.stream("GET", path, headers={"Accept-Encoding": "identity"}) as answer:
        for chunk in answer.iter_bytes():
            lines += chunk.count(b"\n")
            size += len(chunk)
    assert lines == MANY + 1
    assert peak_kb() - before < size / 1024 / 2


@pytest.mark.parametrize("under", ["server", "daphne"])
def test_a_lost_connection_is_an_error_for_the_client(
    stack: Stack, alice: Person, path: str, under: str, request: pytest.FixtureRequest
) -> None:
    server: Process = request.getfixturevalue(under)
    with client_of(alice, server.url) as client, client.stream("GET", path) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        # A role may terminate its own connections; the owner role may not terminate the reader's.
        with psycopg.connect(stack.env["TELEMETRY_URL"], connect_timeout=5) as connection:
            assert connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SCANNING}"
            ).fetchall() == [(True,)]
        with pytest.raises(httpx.TransportError):
            list(chunks)
    assert alice.http.get("/livez").status_code == 200


def test_a_disconnected_client_frees_the_connection(stack: Stack, server: Process, alice: Person, path: str) -> None:
    with begun(stack, server.url, alice, path):
        pass
    wait_until(lambda: scans(stack) == 0, "the export ended")


def test_a_client_that_stops_reading_frees_the_connection(
    stack: Stack, strict: tuple[Process, TcpProxy], alice: Person, path: str
) -> None:
    with begun(stack, strict[0].url, alice, path) as connection:
        wait_until(lambda: scans(stack) == 0, "the export ended")
        assert not rest_of(connection).endswith(b"\r\n0\r\n\r\n")
    with client_of(alice, strict[0].url) as client:
        assert client.get(path.split("&")[0] + "&end=2026-06-15T12:01:00Z").status_code == 200


def test_daphne_waits_for_a_slow_client_and_then_disconnects_it(
    stack: Stack, daphne: Process, alice: Person, path: str
) -> None:
    with client_of(alice, daphne.url) as client:
        client.get(path.replace("/export", "").split("?")[0])
    memory = resident_bytes(daphne)
    with begun(stack, daphne.url, alice, path) as connection:
        wait_until(lambda: scans(stack) == 0, "the export ended")
        assert resident_bytes(daphne) - memory < MANY * 170 / 2  # half of the total
        with suppress(ConnectionResetError):
            assert not rest_of(connection).endswith(b"\r\n0\r\n\r\n")


def test_losing_access_ends_an_export(stack: Stack, server: Process, alice: Person, bob: Person, path: str) -> None:
    device_id = path.split("/")[3]
    device_share(device_id, bob)
    with begun(stack, server.url, bob, path) as connection:
        assert alice.http.delete(f"/api/devices/{device_id}/shares/{bob.username}").status_code == 204
        assert not rest_of(connection).endswith(b"\r\n0\r\n\r\n")
    wait_until(lambda: scans(stack) == 0, "the export ended")


def test_excess_exports_are_refused_and_history_still_works(stack: Stack, logs: Path, alice: Person, path: str) -> None:
    with (
        server_process({**stack.env, "EXPORTS_AT_ONCE": "1"}, logs / "busy.log") as server,
        client_of(alice, server.url) as client,
    ):
        short = path.split("&")[0] + "&end=2026-06-15T12:01:00Z"
        with begun(stack, server.url, alice, path):
            busy = client.get(short)
            refused(busy, 503, "exports")
            assert int(busy.headers["retry-after"]) > 0
            assert client.get(path.split("/export")[0]).status_code == 200
        wait_until(lambda: client.get(short).status_code == 200, "the place is free again")


def test_without_the_database_the_response_is_503(strict: tuple[Process, TcpProxy], alice: Person, device: str) -> None:
    server, proxy = strict
    with client_of(alice, server.url) as client:
        proxy.cut()
        try:
            answer = client.get(f"/api/history/{device}/export?range=1h")
            refused(answer, 503, "database")
            assert int(answer.headers["retry-after"]) > 0
        finally:
            proxy.restore()
        assert client.get(f"/api/history/{device}/export?range=1h").status_code == 200
