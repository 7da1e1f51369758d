"""PostgreSQL reads the binary rows as intended."""

from __future__ import annotations

from psycopg.sql import SQL

from telemetry.catalogue import catalogue_load
from telemetry.reading import Reading
from telemetry.times import datetime_from_us, us_from_iso
from testing.stack import Stack
from writer.storage.rows import Statements, binary_rows, merged_by_key


def test_postgresql_reads_the_written_values(stack: Stack) -> None:
    catalogue = catalogue_load()
    statements = Statements(catalogue)
    values = (None, -0.1, 1e300, *(float(index) for index in range(len(catalogue.metrics) - 3)))
    readings = [
        Reading("a", us_from_iso("1999-12-31T23:59:59.999999Z"), values),
        Reading("x" * 64, us_from_iso("2026-11-23T10:00:00.123456Z"), values),
    ]
    with stack.admin() as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.execute(statements.create)
        with cursor.copy(statements.copy) as copy:
            copy.write(binary_rows(readings))
        rows = cursor.execute(SQL("SELECT * FROM pg_temp.incoming ORDER BY ctid")).fetchall()
    assert rows == [(datetime_from_us(reading.us), reading.device_id, *values) for reading in readings]


def test_readings_of_one_time_are_merged_in_order_of_arrival() -> None:
    def values(**named: float) -> tuple[float | None, ...]:
        return tuple(named.get(name) for name in catalogue_load().names)

    sent = [
        Reading("a", 1, values(solar_power=1.0, load_power=2.0)),
        Reading("b", 1, values(solar_power=9.0)),
        Reading("a", 1, values(grid_power=3.0)),
        Reading("a", 1, values(solar_power=4.0)),
    ]
    assert merged_by_key(sent) == [
        Reading("a", 1, values(solar_power=4.0, load_power=2.0, grid_power=3.0)),
        Reading("b", 1, values(solar_power=9.0)),
    ]
