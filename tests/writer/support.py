"""Helpers of the writer's tests: devices that send, and the stored and published results."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import redis
from psycopg.sql import SQL

from telemetry.catalogue import catalogue_load
from telemetry.keys import device_key
from telemetry.names import ring_key
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime, us_from_iso
from testing.process import Process
from testing.stack import Stack

CATALOGUE = catalogue_load()
Json = dict[str, Any]


def recent_us(seconds_ago: int = 3600) -> int:
    """Return a whole second in the recent past (µs), so that subsequent readings are not ahead of the clock."""
    return (int(time.time()) - seconds_ago) * SECOND_US


def reading(device_id: str, us: int, **values: float | None) -> Json:
    """Return a flat reading as a device sends it."""
    return {"device_id": device_id, "time": iso_from_us(us), **(values or {"load_power": 1.0})}


def accepted(
    count: int = 1,
    *,
    refused: Sequence[Json] = (),
    adjusted: Sequence[Json] = (),
    ignored: Sequence[str] = (),
) -> Json:
    """Return the response for `count` accepted readings."""
    return {"accepted": count, "refused": [*refused], "adjusted": [*adjusted], "ignored": [*ignored]}


@dataclass
class Device:
    """A device with its key and its writer."""

    device_id: str
    key: str
    stack: Stack
    writer: Process

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def post(self, body: Any, **more: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        headers = more.pop("headers", self.headers)
        return httpx.post(f"{self.writer.url}/ingest", content=content, headers=headers, timeout=30, **more)

    def send(self, first_us: int, count: int = 1, **values: float | None) -> None:
        """Send `count` readings, one per second. All must be accepted."""
        readings = [reading(self.device_id, first_us + index * SECOND_US, **values) for index in range(count)]
        answer = self.post(readings)
        assert answer.status_code == 200, answer.text
        assert answer.json() == accepted(count)

    def stored(self) -> dict[int, dict[str, float | None]]:
        """Return all stored rows: metrics by time in µs."""
        query = SQL("SELECT * FROM {} WHERE device_id = %s ORDER BY time")
        from telemetry.ddl import table_of

        with self.stack.admin() as connection:
            cursor = connection.execute(query.format(table_of(CATALOGUE)), [self.device_id])
            assert cursor.description is not None
            names = [column.name for column in cursor.description]
            rows: list[Json] = [dict(zip(names, row, strict=True)) for row in cursor]
        return {us_from_datetime(row["time"]): {name: row[name] for name in CATALOGUE.names} for row in rows}

    def ring(self) -> list[int]:
        """Return the times (µs) in the device's ring, in the order of insertion."""
        with redis.Redis.from_url(self.stack.env["REDIS_URL"]) as client:
            entries: Any = client.xrange(ring_key(self.device_id))
            return [us_from_iso(orjson.loads(fields[b"reading"])["time"]) for _, fields in entries]


def device_new(stack: Stack, writer: Process) -> Device:
    """Return a device that has not sent any reading."""
    device_id = f"dev_{secrets.token_hex(5)}"
    return Device(device_id, device_key(stack.env["INGEST_SECRET"], device_id), stack, writer)


def metric(writer: Process, name: str) -> int:
    """Return the value of one of the writer's metrics."""
    text = httpx.get(f"{writer.url}/metrics", timeout=10).text
    found = re.search(rf"^wattstream_writer_{re.escape(name)} ([\d.e+]+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0
