"""Energy tiers compared with plain Python: every row is correct for random readings."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from rollup.energy import energy_statements
from telemetry.catalogue import Catalogue, catalogue_load
from telemetry.ddl import schema_statements, table_of
from telemetry.energy_tiers import COLUMN_NAMES, ENERGY_TIERS, QUARTER, energy_ddl, energy_table, energy_tables
from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime
from testing.energy_oracle import Series, counter_sums, reach_s, series
from testing.energy_readings import Row, column, runs
from testing.stack import Stack

CATALOGUE_TEXT = """
[table]
name = "{name}"
time = "At"
device = "meter"
chunk_interval = "1 day"

[[metric]]
name = "flow"
column = "Flow"
kind = "power"
unit = "W"
role = "grid"

[[metric]]
name = "level"
kind = "percent"

[[metric]]
name = "meter_in"
kind = "energy"
unit = "kWh"
role = "grid_import"
"""
FLOW, LEVEL, METER_IN = range(3)
START = 1_760_000_000 * SECOND_US
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def catalogue(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """A third-party hypertable with its energy tiers."""
    path: Path = tmp_path_factory.mktemp("energy") / "catalogue.toml"
    path.write_text(CATALOGUE_TEXT.format(name=f"flow_{secrets.token_hex(3)}"))
    catalogue = catalogue_load(path)
    with stack.admin() as connection:
        for statement in (*schema_statements(catalogue), *energy_ddl(catalogue), *energy_ddl(catalogue)):
            connection.execute(statement)
        yield catalogue
        for table in (*energy_tables(catalogue), table_of(catalogue)):
            connection.execute(sql.SQL("DROP TABLE {}").format(table))


def insert(connection: Connection, catalogue: Catalogue, device: str, rows: Sequence[Row]) -> None:
    statement = sql.SQL('INSERT INTO {} (meter, "At", "Flow", level, meter_in) VALUES (%s, %s, %s, %s, %s)')
    with connection.cursor() as cursor:
        cursor.executemany(
            statement.format(table_of(catalogue)), [(device, datetime_from_us(at), *values) for at, values in rows]
        )


def rebuild(connection: Connection, catalogue: Catalogue, device: str, times: Sequence[int]) -> None:
    """Rebuild the buckets of `times` (µs) in all tiers."""
    buckets = {datetime_from_us(bucket_of(at, QUARTER.seconds)) for at in times}
    with connection.transaction():
        connection.execute("CREATE TEMP TABLE touched (device_id text, bucket timestamptz) ON COMMIT DROP")
        connection.execute("INSERT INTO touched SELECT %s, unnest(%s::timestamptz[])", [device, list(buckets)])
        for statement in energy_statements(catalogue, sql.Identifier("touched")):
            connection.execute(statement)


def bucket_of(at: int, seconds: int) -> int:
    return at - at % (seconds * SECOND_US)


def expected_row(readings: Series, *, is_counter: bool) -> dict[str, Any]:
    """Return the expected row of a bucket from its readings."""
    times, values = [at for at, _ in readings], [value for _, value in readings]
    value, at = max((value, -at) for at, value in readings)
    row: dict[str, Any] = {
        "count": len(readings), "value_1": values[0], "value_2": values[1] if len(values) > 1 else None,
        "last_value": values[-1], "highest": value, "highest_time": -at,
        **{f"first_{place}": times[place - 1] if len(times) >= place else None for place in (1, 2, 3)},
        **{f"last_{place}": times[-place] if len(times) >= place else None for place in (1, 2, 3)},
    }  # fmt: skip
    if is_counter:
        sums = counter_sums(readings, times[0], times[-1] + 1, times[-1] + 1)
        return {**row, "positive": sums.positive, "negative": 0.0, "held": sums.held_s}
    held = [
        (value, min((after - at) / SECOND_US, reach_s(times, index)))
        for index, ((at, value), (after, _)) in enumerate(pairwise(readings))
        if index >= 2
    ]
    return {
        **row,
        "positive": math.fsum(max(value, 0.0) * seconds for value, seconds in held),
        "negative": math.fsum(max(-value, 0.0) * seconds for value, seconds in held),
        "held": math.fsum(seconds for _, seconds in held),
    }


def assert_tiers_right(connection: Connection, catalogue: Catalogue, device: str, rows: Sequence[Row]) -> None:
    """Check that each tier contains exactly the rows of the oracle."""
    for tier in ENERGY_TIERS:
        query = sql.SQL("SELECT {} FROM {} WHERE device_id = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, COLUMN_NAMES)), energy_table(catalogue, tier)
        )
        found = [dict(zip(COLUMN_NAMES, row, strict=True)) for row in connection.execute(query, [device])]
        stored = {(row["metric"], us_from_datetime(row["bucket"])): row for row in found}
        expected = {}
        for metric, index in (("flow", FLOW), ("meter_in", METER_IN)):
            readings = series(column(rows, index), 2**62)
            for bucket in {bucket_of(at, tier.seconds) for at, _ in readings}:
                inside = [(at, value) for at, value in readings if bucket_of(at, tier.seconds) == bucket]
                expected[metric, bucket] = expected_row(inside, is_counter=index == METER_IN)
        assert stored.keys() == expected.keys(), tier
        for key, row in expected.items():
            for name, value in row.items():
                assert is_same(stored[key][name], value), (tier, key, name, stored[key][name], value)


def is_same(found: Any, expected: Any) -> bool:
    if hasattr(found, "tzinfo"):
        return bool(us_from_datetime(found) == expected)
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == expected)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=runs(START, 3), data=st.data())
def test_rows_match_the_readings_of_their_bucket(
    stack: Stack, catalogue: Catalogue, rows: list[Row], data: st.DataObject
) -> None:
    device = f"m_{secrets.token_hex(5)}"
    with stack.admin() as connection:
        insert(connection, catalogue, device, rows)
        rebuild(connection, catalogue, device, [at for at, _ in rows])
        assert_tiers_right(connection, catalogue, device, rows)
        # some readings are deleted: only their buckets are rebuilt
        gone = data.draw(st.lists(st.sampled_from(rows), max_size=5, unique_by=lambda row: row[0]))
        connection.execute(
            sql.SQL('DELETE FROM {} WHERE meter = %s AND "At" = ANY (%s)').format(table_of(catalogue)),
            [device, [datetime_from_us(at) for at, _ in gone]],
        )
        rebuild(connection, catalogue, device, [at for at, _ in gone])
        assert_tiers_right(connection, catalogue, device, [row for row in rows if row not in gone])


def test_a_touched_bucket_without_readings_has_no_row(stack: Stack, catalogue: Catalogue) -> None:
    device = f"m_{secrets.token_hex(5)}"
    with stack.admin() as connection:
        insert(connection, catalogue, device, [(START, (None, 5.0, None)), (START + 1, (math.nan, 5.0, math.inf))])
        rebuild(connection, catalogue, device, [START])
        assert_tiers_right(connection, catalogue, device, [])
