"""WS /ws/device/{device_id}."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from telemetry.times import SECOND_US
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import Device, accepted, device_new, metric, reading, recent_us

DEADLINE_S = 20


@contextmanager
def opened(device: Device, *, key: str | None = None, path: str | None = None) -> Iterator[ClientConnection]:
    url = device.writer.url.replace("http", "ws") + (path or f"/ws/device/{device.device_id}")
    headers = {"Authorization": f"Bearer {key or device.key}"}
    with connect(url, additional_headers=headers, proxy=None, open_timeout=DEADLINE_S) as connection:
        yield connection


def ask(connection: ClientConnection, message: Any) -> Any:
    connection.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    return json.loads(connection.recv(timeout=DEADLINE_S))


def test_each_reading_is_answered_and_stored(device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with opened(device) as connection:
        for index in range(3):
            assert ask(connection, reading(device.device_id, us + index * SECOND_US)) == accepted()
    wait_until(lambda: len(device.stored()) == 3, "three readings stored")


def test_a_binary_message_is_read_like_a_text(device_of_writer: Device) -> None:
    with opened(device_of_writer) as connection:
        assert ask(connection, json.dumps(reading(device_of_writer.device_id, recent_us())).encode()) == accepted()


def test_a_refused_reading_gets_a_reason_and_the_socket_stays_open(device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()

    def reason(message: Any) -> str:
        answer = ask(connection, message)
        ((refused),) = answer["refused"]
        assert (answer["accepted"], refused["index"]) == (0, 0)
        return str(refused["reason"])

    with opened(device) as connection:
        assert "not JSON" in reason("{")
        assert "JSON object" in reason([reading(device.device_id, us)])
        assert "not the device that the key belongs to" in reason(reading("somebody_else", us))
        assert "no metric" in reason(reading(device.device_id, us, battery_soc=150))
        assert ask(connection, reading(device.device_id, us)) == accepted()


def test_adjusted_values_and_ignored_names_are_listed(device_of_writer: Device) -> None:
    device, us = device_of_writer, recent_us()
    with opened(device) as connection:
        sent = {**reading(device.device_id, us, solar_power=-3, grid_power=float("nan"), load_power=5), "slar_power": 3}
        answer = ask(connection, json.dumps(sent))
    assert (answer["accepted"], answer["refused"], answer["ignored"]) == (1, [], ["slar_power"])
    assert {(entry["index"], entry["metric"]) for entry in answer["adjusted"]} == {
        (0, "solar_power"),
        (0, "grid_power"),
    }
    wait_until(lambda: device.stored(), "stored")
    values = {name: value for name, value in device.stored()[us].items() if value is not None}
    assert values == {"solar_power": 0.0, "load_power": 5.0}


@pytest.mark.parametrize("wrong", ["key", "device", "device_id"])
def test_a_bad_key_is_closed_with_4401(device_of_writer: Device, wrong: str) -> None:
    device = device_of_writer
    key = "wsd_wrong" if wrong == "key" else device.key
    path = {"device": "/ws/device/another", "device_id": "/ws/device/a%20b"}.get(wrong)
    with opened(device, key=key, path=path) as connection, pytest.raises(ConnectionClosed):
        connection.recv(timeout=DEADLINE_S)
    assert connection.close_code == 4401


def test_a_message_that_is_too_long_closes_the_socket(device_of_writer: Device) -> None:
    with opened(device_of_writer) as connection, pytest.raises(ConnectionClosed):
        ask(connection, "x" * 100_000)
    assert connection.close_code == 1009


def test_a_client_that_does_not_read_responses_is_disconnected(start_writer: StartWriter, stack: Stack) -> None:
    device = device_new(stack, start_writer(WRITER_SEND_TIMEOUT_MS="300"))
    refused = frame(json.dumps({**reading(device.device_id, recent_us()), "load_power": "x" * 60}))
    with deaf_client(device) as raw:
        unsent = b""

        def is_closed() -> bool:
            nonlocal unsent
            unsent = push(raw, unsent or refused * 500)
            return metric(device.writer, "slow_sockets_total") == 1

        wait_until(is_closed, "the socket closed as slow", deadline_s=60)


@contextmanager
def deaf_client(device: Device) -> Iterator[socket.socket]:
    """Return a websocket after the handshake that reads nothing, with a small receive buffer."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(DEADLINE_S)
    raw.connect(("127.0.0.1", device.writer.port))
    lines = [
        f"GET /ws/device/{device.device_id} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Authorization: Bearer {device.key}",
    ]
    raw.sendall("\r\n".join([*lines, "", ""]).encode())
    assert raw.recv(64).startswith(b"HTTP/1.1 101")
    raw.setblocking(False)
    with raw:
        yield raw


def frame(text: str) -> bytes:
    """Return a masked text frame (RFC 6455, 5.2) of 126 to 65,535 bytes."""
    payload, mask = text.encode(), os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return struct.pack("!BBH", 0x81, 0x80 | 126, len(payload)) + mask + masked


def push(raw: socket.socket, data: bytes) -> bytes:
    """Send as much of `data` as possible without blocking and return the rest."""
    while data and select.select([], [raw], [], 0.2)[1]:
        try:
            data = data[raw.send(data) :]
        except (BrokenPipeError, ConnectionResetError):
            return b""
    return data
