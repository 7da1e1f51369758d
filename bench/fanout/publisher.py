"""A separate process that publishes timestamped readings on a fixed schedule (open loop).

    python -m bench.fanout.publisher BUS ADDRESS     BUS: redis, mqtt, channels, channels-pubsub

The first input line is the list of devices as JSON. Each further line is an `Order`; the process answers each with one
line, a `Done`.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from bench.fanout import mqtt
from bench.peers.channels_tutorial.layers import LAYERS
from telemetry.catalogue import catalogue_load
from telemetry.names import live_channel
from telemetry.reading import Reading, reading_encode

CATALOGUE = catalogue_load()
Published = tuple[str, bytes]  # device id, reading as JSON


@dataclass(frozen=True)
class Order:
    """Publish for `seconds`: `per_second` readings in bursts of `burst`, round robin over the devices."""

    seconds: float
    per_second: float
    burst: int


@dataclass(frozen=True)
class Done:
    """Result of an order. `late_ms`: the greatest delay of a burst behind its schedule."""

    published: int
    seconds: float
    cpu_s: float
    late_ms: float


class Bus(Protocol):
    def publish(self, burst: Sequence[Published]) -> None: ...


class RedisBus:
    """Publish with pipelined PUBLISH commands on a plain socket."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._socket = _connect(url.hostname or "127.0.0.1", url.port or 6379)
        if url.password:
            self._socket.sendall(_resp(b"AUTH", url.password.encode()))
            assert self._socket.recv(100).startswith(b"+OK"), "Redis refuses the password"

    def publish(self, burst: Sequence[Published]) -> None:
        commands = [_resp(b"PUBLISH", live_channel(device).encode(), reading) for device, reading in burst]
        self._socket.sendall(b"".join(commands))
        with suppress(BlockingIOError):
            answered = self._socket.recv(65536, socket.MSG_DONTWAIT)
            assert b"-" not in answered, f"Redis refuses: {answered!r}"


class MqttBus:
    """Publish MQTT packets over TCP, as devices do."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._socket = _connect(url.hostname or "127.0.0.1", url.port or 1883)
        self._socket.sendall(mqtt.connect("publisher"))
        assert self._socket.recv(100).startswith(mqtt.CONNACK), "the broker refuses the connection"

    def publish(self, burst: Sequence[Published]) -> None:
        self._socket.sendall(b"".join(mqtt.publish(live_channel(device), reading) for device, reading in burst))


class ChannelsBus:
    """Publish with `group_send`, as the Channels tutorial does."""

    def __init__(self, address: str, *, layer: str) -> None:
        self._runner = asyncio.Runner()
        self._layer = LAYERS[layer](address)

    def publish(self, burst: Sequence[Published]) -> None:
        self._runner.run(self._send(burst))

    async def _send(self, burst: Sequence[Published]) -> None:
        for device, reading in burst:
            message = {"type": "telemetry.reading", "reading": orjson.loads(reading)}
            await self._layer.group_send(f"device_{device}", message)


def _connect(host: str, port: int) -> socket.socket:
    connected = socket.create_connection((host, port), timeout=10)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _resp(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def reading_now(device: str, number: int) -> bytes:
    return reading_at(device, number, time.time_ns() // 1000)


def reading_at(device: str, number: int, us: int) -> bytes:
    """Return a realistic reading of about 250 bytes.

    Its time always has six decimals: the sockets rely on that length.
    """
    swing = math.sin(number / 50)
    watts = (round(value * (1 + swing / 10), 1) for value in (1250.4, 62.3, -480.7, 2310.9, 1768.2))
    battery, soc, grid, solar, load = watts
    values = {
        "battery_voltage": 53.21, "battery_current": 23.51, "battery_power": battery, "battery_soc": soc,
        "grid_voltage": 231.4, "grid_power": grid, "grid_frequency": 50.01, "solar_power": solar, "load_power": load,
    }  # fmt: skip
    return reading_encode(Reading(device, us | 1, tuple(values[name] for name in CATALOGUE.names)), CATALOGUE)


def carry_out(order: Order, bus: Bus, devices: Sequence[str]) -> Done:
    """Publish on schedule, equally often for every device.

    A late burst goes out at once; later bursts keep the schedule.
    """
    total = len(devices) * max(1, round(order.seconds * order.per_second / len(devices)))
    begun, cpu, late = time.perf_counter(), time.process_time(), 0.0
    for number in range(0, total, order.burst):
        due = begun + number / order.per_second
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        late = max(late, time.perf_counter() - due)
        places = range(number, min(number + order.burst, total))
        burst = [(devices[place % len(devices)], place) for place in places]
        bus.publish([(device, reading_now(device, place)) for device, place in burst])
    lasted = max(time.perf_counter() - begun, total / order.per_second)
    return Done(total, lasted, time.process_time() - cpu, 1000 * late)


def bus_open(name: str, address: str) -> Bus:
    if name == "redis":
        return RedisBus(address)
    if name == "mqtt":
        return MqttBus(address)
    return ChannelsBus(address, layer=name)


def main() -> None:
    name, address = sys.argv[1:]
    bus = bus_open(name, address)
    devices: list[str] = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        told: dict[str, Any] = json.loads(line)
        print(json.dumps(asdict(carry_out(Order(**told), bus, devices))), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
