"""The rollup in the writer: stored readings are rolled up, and the lag is a metric."""

from __future__ import annotations

import json
import re

import httpx
import redis
from psycopg.sql import SQL

from telemetry.catalogue import catalogue_load
from telemetry.changes import changes_table
from telemetry.names import HEARTBEAT_CHANNEL
from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import Device, device_new, metric, recent_us


def metrics_of(writer: Process) -> str:
    return httpx.get(f"{writer.url}/metrics", timeout=10).text


def logged(stack: Stack, device: Device) -> int:
    query = SQL("SELECT count(*) FROM {} WHERE device_id = %s").format(changes_table(catalogue_load()))
    with stack.admin() as connection:
        (count,) = connection.execute(query, [device.device_id]).fetchone() or (0,)
    return int(str(count))


def test_stored_readings_are_rolled_up(stack: Stack, start_writer: StartWriter, redis_client: redis.Redis) -> None:
    writer = start_writer(ROLLUP_POLL_MS="50", ROLLUP_SETTLE_MS="0")
    device = device_new(stack, writer)
    device.send(recent_us())
    wait_until(lambda: metric(writer, "rollup_readings_total") >= 1, "the reading is rolled up", deadline_s=60)
    wait_until(lambda: logged(stack, device) == 0, "its log row is gone", deadline_s=60)
    assert metric(writer, "rollup_errors_total") == 0
    assert re.search(r"^wattstream_writer_rollup_lag_seconds \d", metrics_of(writer), re.MULTILINE)
    with redis_client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(HEARTBEAT_CHANNEL)

        def lag() -> bool:
            message = pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
            return message is not None and json.loads(message["data"]).get("rollup_lag_s") is not None

        wait_until(lag, "a heartbeat with the lag", deadline_s=30)


def test_a_writer_without_a_rollup_leaves_the_log(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer(WRITER_ROLLUP="0")
    device = device_new(stack, writer)
    device.send(recent_us())
    wait_until(lambda: metric(writer, "stored_total") >= 1, "the reading is stored")
    assert logged(stack, device) >= 1
