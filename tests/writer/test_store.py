"""Storing with an available database, with an unavailable one, and with rows that it rejects."""

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
from tests.writer.support import Device, device_new, metric, reading, recent_us

BAD_VALUE = 123456.75
ALLOWED_GROWTH_KB = 60_000


def resident_kb(process: Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def value_forbidden(stack: Stack, value: float) -> Iterator[None]:
    """The table rejects readings with this load_power."""
    table, name = table_of(catalogue_load()), Identifier(f"refuse_{secrets.token_hex(4)}")
    add = SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK (load_power IS DISTINCT FROM {})")
    with stack.admin() as connection:
        connection.execute(add.format(table, name, Literal(value)))
        try:
            yield
        finally:
            connection.execute(SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, name))


def test_a_full_queue_is_503_without_accepted_readings_and_recovers(stack: Stack, start_writer: StartWriter) -> None:
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


def test_storing_continues_after_a_killed_connection(stack: Stack, start_writer: StartWriter) -> None:
    proxy, url = stack.telemetry_proxy(admin=True)
    writer = start_writer(TELEMETRY_ADMIN_URL=url)
    device, us = device_new(stack, writer), recent_us()
    device.send(us)
    wait_until(lambda: len(device.stored()) == 1, "the first stored")
    proxy.kill_connections()
    device.send(us + SECOND_US)
    wait_until(lambda: len(device.stored()) == 2, "the second stored over a new connection")


def test_storing_continues_after_a_dead_connection(stack: Stack, start_writer: StartWriter) -> None:
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


def test_a_rejected_row_affects_no_other_row(stack: Stack, start_writer: StartWriter) -> None:
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
    assert f"refused 2 readings, the first: {device.device_id}" in writer.log.read_text()


def test_any_error_of_one_row_affects_no_other_row(stack: Stack, start_writer: StartWriter) -> None:
    """Including errors whose class does not show that the row is the cause."""
    writer = start_writer()
    device, other, us = device_new(stack, writer), device_new(stack, writer), recent_us()
    with trigger_raises(stack, device.device_id, "XX001"):
        other.send(us)
        device.send(us, 5)
        other.send(us + SECOND_US)
        wait_until(lambda: metric(writer, "queued_readings") == 0, "the queue worked off", deadline_s=60)
    assert metric(writer, "store_refused_total") == 5
    assert (len(device.stored()), len(other.stored())) == (0, 2)


def test_an_error_of_every_row_loses_no_reading(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    with trigger_raises(stack, device.device_id, "XX001"):
        device.send(us, 5)
        wait_until(lambda: metric(writer, "store_errors_total") >= 2, "storing failed twice")
        assert metric(writer, "queued_readings") == 5
    wait_until(lambda: len(device.stored()) == 5, "everything stored")
    assert metric(writer, "store_refused_total") == 0


@contextmanager
def trigger_raises(stack: Stack, device_id: str, state: str) -> Iterator[None]:
    """Inserting a row of the device fails with this SQLSTATE."""
    name, table = Identifier(f"raise_{secrets.token_hex(4)}"), table_of(catalogue_load())
    function = SQL("""CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.device_id = {} THEN RAISE EXCEPTION 'broken' USING ERRCODE = {}; END IF; RETURN NEW; END $$""")
    with stack.admin() as connection:
        connection.execute(function.format(name, Literal(device_id), Literal(state)))
        connection.execute(
            SQL("CREATE TRIGGER {0} BEFORE INSERT ON {1} FOR EACH ROW EXECUTE FUNCTION {0}()").format(name, table)
        )
        try:
            yield
        finally:
            connection.execute(SQL("DROP FUNCTION {} CASCADE").format(name))


def test_counts_new_rows_corrected_rows_and_repeated_readings(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    device.send(us, 5)
    device.send(us, 7)
    wait_until(lambda: metric(writer, "queued_readings") == 0, "the queue worked off")
    assert (metric(writer, "stored_total"), metric(writer, "duplicates_total")) == (7, 5)
    device.send(us, 2, load_power=9.0)
    wait_until(lambda: metric(writer, "queued_readings") == 0, "the queue worked off")
    assert (metric(writer, "stored_total"), metric(writer, "corrected_total")) == (7, 2)
    assert metric(writer, "accepted_total") == 14


def stored_values(device: Device, us: int) -> dict[str, float]:
    return {name: value for name, value in device.stored()[us].items() if value is not None}


def send_and_wait(device: Device, us: int, *, writer: Process, **values: float | None) -> None:
    device.send(us, 1, **values)
    wait_until(lambda: metric(writer, "queued_readings") == 0, "stored")


def test_a_later_value_replaces_the_stored_one_and_null_erases_none(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    send_and_wait(device, us, writer=writer, load_power=900_000.0, solar_power=5.0)
    send_and_wait(device, us, writer=writer, load_power=480.0, solar_power=None)
    assert stored_values(device, us) == {"load_power": 480.0, "solar_power": 5.0}


def test_two_senders_add_to_the_same_moment(stack: Stack, start_writer: StartWriter) -> None:
    first, second = start_writer(), start_writer()
    device, us = device_new(stack, first), recent_us()
    send_and_wait(device, us, writer=first, solar_power=5.0)
    device.writer = second
    send_and_wait(device, us, writer=second, grid_power=-3.0)
    assert stored_values(device, us) == {"solar_power": 5.0, "grid_power": -3.0}


def test_a_repeated_time_in_a_list_is_one_row_with_the_last_values(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()
    sent: list[dict[str, float | None]] = [{"load_power": float(value)} for value in range(5)]
    sent.append({"solar_power": 7.0})
    answer = device.post([reading(device.device_id, us, **values) for values in sent])
    assert answer.json()["accepted"] == 6
    wait_until(lambda: metric(writer, "queued_readings") == 0, "stored")
    assert stored_values(device, us) == {"load_power": 4.0, "solar_power": 7.0}


def test_an_equal_value_changes_no_row(stack: Stack, start_writer: StartWriter) -> None:
    writer = start_writer()
    device, us = device_new(stack, writer), recent_us()

    def versions() -> list[tuple[object, ...]]:
        with stack.admin() as connection:
            query = SQL("SELECT xmin::text, ctid::text FROM {} WHERE device_id = %s").format(table_of(catalogue_load()))
            return connection.execute(query, [device.device_id]).fetchall()

    send_and_wait(device, us, writer=writer, load_power=5.0, solar_power=1.0)
    before = versions()
    send_and_wait(device, us, writer=writer, load_power=5.0)
    assert versions() == before
    assert metric(writer, "corrected_total") == 0


def test_a_spike_is_corrected_in_any_batch(stack: Stack, start_writer: StartWriter) -> None:
    """New rows, existing rows, corrections and repetitions in one batch."""
    writer = start_writer(WRITER_FLUSH_MS="500")
    device, us = device_new(stack, writer), recent_us(20_000)
    send_and_wait(device, us, writer=writer, load_power=1.0)
    device.send(us - 9_000 * SECOND_US, 100)
    device.send(us, load_power=2.0)
    device.send(us - 9_000 * SECOND_US, 3, load_power=7.0)
    wait_until(lambda: metric(writer, "queued_readings") == 0, "stored")
    assert len(device.stored()) == 101
    assert stored_values(device, us) == {"load_power": 2.0}
    assert [row["load_power"] for row in list(device.stored().values())[:4]] == [7.0, 7.0, 7.0, 1.0]
