"""Storing, while the database is there, while it is not, and when it does not like a row."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.sql import SQL, Identifier, Literal

from telemetry.catalogue import catalogue_load
from telemetry.ddl import table_of
from telemetry.times import SECOND_US
from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until
from tests.writer.conftest import StartWriter
from tests.writer.support import device_new, metric, reading, recent_us

BAD_VALUE = 123456.75
ALLOWED_GROWTH_KB = 60_000


def resident_kb(process: Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def value_forbidden(stack: Stack, value: float) -> Iterator[None]:
    """The table refuses readings with this load_power."""
    table, name = table_of(catalogue_load()), Identifier(f"refuse_{secrets.token_hex(4)}")
    add = SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (load_power IS DISTINCT FROM {})")
    with stack.admin() as connection:
        connection.execute(add.format(table, name, Literal(value)))
        try:
            yield
        finally:
            connection.execute(SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, name))


def test_a_full_queue_is_503_with_nothing_taken_and_recovers(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    proxy.cut()
    writer = start_writer(TELEMETRY_ADMIN_URL=url, WRITER_QUEUE_MAX_READINGS="10000")
    device, us = device_new(stack, writer), recent_us(20_000)
    device.send(us, 6000)
    more = [reading(device.device_id, us + (6000 + index) * SECOND_US) for index in range(6000)]
    before_kb = resident_kb(writer)
    for _ in range(15):
        refused = device.post(more)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert metric(writer, "queued_readings") == 6000
    assert resident_kb(writer) - before_kb < ALLOWED_GROWTH_KB
    wait_until(lambda: metric(writer, "store_errors_total") >= 1, "an attempt to store failed")
    proxy.restore()
    wait_until(lambda: metric(writer, "queued_readings") == 0, "the queue stored")
    assert device.post(more).json()["accepted"] == 6000
    wait_until(lambda: len(device.stored()) == 12_000, "everything stored")
    assert metric(writer, "stored_total") == 12_000


def test_goes_on_after_its_connection_was_killed(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    writer = start_writer(TELEMETRY_ADMIN_URL=url)
    device, us = device_new(stack, writer), recent_us()
    device.send(us)
    wait_until(lambda: len(device.stored()) == 1, "the first stored")
    proxy.kill_connections()
    device.send(us + SECOND_US)
    wait_until(lambda: len(device.stored()) == 2, "the second stored over a new connection")


def test_goes_on_after_a_connection_that_was_open_and_dead(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    writer = start_writer(TELEMETRY_ADMIN_URL=url, WRITER_STORE_TIMEOUT_MS="500")
    device, us = device_new(stack, writer), recent_us()
    device.send(us)
    wait_until(lambda: len(device.stored()) == 1, "the first stored")
    proxy.pause()
    device.send(us + SECOND_US)
    wait_until(lambda: metric(writer, "store_errors_total") >= 1, "the attempt given up", deadline_s=40)
    proxy.resume()
    wait_until(lambda: len(device.stored()) == 2, "the second stored", deadline_s=40)


def test_a_row_that_the_database_refuses_costs_only_itself(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    readings = [reading(device.device_id, us + index * SECOND_US, load_power=float(index)) for index in range(200)]
    readings[77]["load_power"] = readings[150]["load_power"] = BAD_VALUE
    with value_forbidden(stack, BAD_VALUE):
        assert device.post(readings).json()["accepted"] == 200
        wait_until(lambda: metric(writer, "queued_readings") == 0, "the queue worked off")
    assert metric(writer, "store_refused_total") == 2
    assert metric(writer, "store_errors_total") == 0
    missing = {us + 77 * SECOND_US, us + 150 * SECOND_US}
    assert set(device.stored()) == {us + index * SECOND_US for index in range(200)} - missing
    assert f"refused the reading {device.device_id}" in writer.log.read_text()


def test_counts_what_was_stored_already_as_duplicates(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    device.send(us, 5)
    device.send(us, 7)
    wait_until(lambda: metric(writer, "queued_readings") == 0, "the queue worked off")
    assert (metric(writer, "stored_total"), metric(writer, "duplicates_total")) == (7, 5)
    assert metric(writer, "accepted_total") == 12
