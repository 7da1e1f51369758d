"""The whole site of a measurement: databases, writer, servers; process ids by part; the stored readings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg

from bench.stack import BenchStack
from telemetry.times import datetime_from_us, us_from_datetime
from testing.process import Process

CONNECT_TIMEOUT_S = 5
SERVE = [sys.executable, "-m", "asgi_project.server.serve", "--port", "{port}"]
WRITE = [sys.executable, "-m", "writer", "--port", "{port}"]


@dataclass
class Installation:
    """A running site on loopback."""

    stack: BenchStack
    writer: Process
    servers: list[Process]

    @property
    def headers(self) -> dict[str, str]:
        """Return the credentials of the owner."""
        return {"Authorization": f"Bearer {self.stack.token}"}

    def parts(self) -> Mapping[str, Sequence[int]]:
        """Return process ids by part, for a monitor. The generator is the process of the measurement."""
        return {
            **{f"server {number}": [server.pid] for number, server in enumerate(self.servers, 1)},
            "writer": [self.writer.pid],
            "TimescaleDB": [self.stack.postgres],
            "Redis": [self.stack.redis],
        }


@contextmanager
def installation(stack: BenchStack, *, servers: int = 1) -> Iterator[Installation]:
    """Run a writer and `servers` server processes on the databases of `stack`."""
    with ExitStack() as cleanup:
        writer = cleanup.enter_context(stack.server("writer", WRITE, "/livez"))
        started = [
            cleanup.enter_context(stack.server(f"server-{number}", SERVE, "/livez")) for number in range(1, servers + 1)
        ]
        yield Installation(stack, writer, started)


def stored(env: Mapping[str, str], since_us: int, devices: Sequence[str]) -> dict[str, list[int]]:
    """Return the stored times (µs, in order) from `since_us` on for each of `devices`."""
    found: dict[str, list[int]] = {device: [] for device in devices}
    query = "SELECT device_id, time FROM energy_data WHERE time >= %s AND device_id = ANY(%s) ORDER BY device_id, time"
    with psycopg.connect(env["TELEMETRY_ADMIN_URL"], connect_timeout=CONNECT_TIMEOUT_S) as connection:
        for device, moment in connection.execute(query, [datetime_from_us(since_us), list(devices)]):
            found[device].append(us_from_datetime(moment))
    return found


def forget(env: Mapping[str, str], since_us: int, devices: Sequence[str]) -> None:
    """Delete the readings from `since_us` on, so that the next measurement starts from the same state."""
    query = "DELETE FROM energy_data WHERE time >= %s AND device_id = ANY(%s)"
    with psycopg.connect(env["TELEMETRY_ADMIN_URL"], autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute(query, [datetime_from_us(since_us), list(devices)])


def cores() -> int:
    return os.cpu_count() or 1
