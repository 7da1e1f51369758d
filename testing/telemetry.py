"""Readings for tests: created, stored and published as the writer does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import redis
from psycopg import sql

from core.catalogue import CATALOGUE
from telemetry.ddl import table_of
from telemetry.names import RING_FIELD, live_channel, ring_key
from telemetry.reading import Reading, reading_encode
from telemetry.times import SECOND_US, datetime_from_us
from testing.stack import Stack


def now_us() -> int:
    """Return the current time (µs), truncated to milliseconds as in usual readings."""
    return time.time_ns() // 1_000_000 * 1000


def reading_at(device_id: str, us: int, value: float = 1.0) -> Reading:
    """Return a reading with the metrics `value`, `value` + 1, … in catalogue order."""
    return Reading(device_id, us, tuple(value + index for index in range(len(CATALOGUE.names))))


def readings_each_second(device_id: str, first_us: int, count: int) -> list[Reading]:
    return [reading_at(device_id, first_us + index * SECOND_US, float(index)) for index in range(count)]


def store(stack: Stack, readings: Iterable[Reading]) -> None:
    """Insert readings into the hypertable by COPY."""
    columns = [CATALOGUE.time, CATALOGUE.device, *(metric.column for metric in CATALOGUE.metrics)]
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
        table_of(CATALOGUE), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with stack.admin() as connection, connection.cursor() as cursor, cursor.copy(copy) as rows:
        for reading in readings:
            rows.write_row((datetime_from_us(reading.us), reading.device_id, *reading.values))


def publish(stack: Stack, readings: Sequence[Reading], *, ring: bool = True) -> None:
    """Publish readings as the writer does; without `ring`, as a foreign writer does."""
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        for reading in readings:
            payload = reading_encode(reading, CATALOGUE)
            with client.pipeline(transaction=False) as pipeline:
                if ring:
                    pipeline.xadd(ring_key(reading.device_id), {RING_FIELD: payload}, maxlen=600, approximate=True)
                pipeline.publish(live_channel(reading.device_id), payload)
                pipeline.execute()


def waiting_queries(stack: Stack) -> int:
    """Return the number of statements that wait for a lock on the hypertable.

    pg_locks also shows other roles' sessions.
    """
    with stack.admin() as connection:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = {}::regclass").format(
                sql.Literal(f'"{CATALOGUE.schema}"."{CATALOGUE.table}"')
            )
        ).fetchone()
    assert row is not None
    return int(str(row[0]))
