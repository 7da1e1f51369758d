"""Changes to a hypertable in the rollup's tests, and the expected content of its tiers."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from rollup.engine import Connection as AsyncConnection
from rollup.engine import Engine
from telemetry.catalogue import Catalogue
from telemetry.changes import changes_table
from telemetry.ddl import SCHEMA_LOCK, table_of
from telemetry.energy_tiers import ENERGY_TIERS, energy_table, energy_tables
from telemetry.floor import chunks_table, floor_of, state_table
from telemetry.schema import table_statements
from telemetry.tiers import Tier, rollup_columns, rollup_tiers, tier_table

Connection = psycopg.Connection[tuple[Any, ...]]
Values = tuple[float | None, ...]
# (device, bucket) → columns in the order of `rollup_columns`
Rows = dict[tuple[str, datetime], tuple[object, ...]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Table:
    """A hypertable with its catalogue. `connection`: of the owner, in autocommit mode."""

    url: str
    catalogue: Catalogue
    connection: Connection

    def run(self, statement: LiteralString, parameters: Sequence[object] | None = None) -> None:
        """Execute `statement` with the table's name for {}."""
        self.connection.execute(SQL(statement).format(table_of(self.catalogue)), parameters)

    def insert(self, readings: Iterable[tuple[str, datetime, Values]]) -> None:
        """Insert readings with one statement; existing readings are replaced."""
        rows = list(readings)
        self.run(
            'INSERT INTO {} ("At", meter, devices, level) SELECT * FROM unnest(%s::timestamptz[], %s::text[],'
            ' %s::float8[], %s::float8[]) ON CONFLICT (meter, "At") DO UPDATE SET devices = excluded.devices,'
            " level = excluded.level",
            [
                [at for _, at, _ in rows],
                [meter for meter, _, _ in rows],
                *([row[2][n] for row in rows] for n in (0, 1)),
            ],
        )

    def fill(self, start: str, *, seconds: int, step: int, meters: int = 2) -> None:
        """Insert readings of m0, m1, … every `step` seconds: values of both signs, and nulls."""
        self.run(
            "INSERT INTO {} (\"At\", meter, devices, level) SELECT %s::timestamptz + s * interval '1 s', 'm' || m,"
            " CASE WHEN s %% 7 = 0 THEN NULL ELSE (s %% 1000) - 500 + m END, s %% 11"
            " FROM generate_series(0, %s - 1, %s) s, generate_series(0, %s - 1) m ON CONFLICT DO NOTHING",
            [start, seconds, step, meters],
        )

    def log(self) -> list[tuple[str, datetime, datetime, int]]:
        query = SQL("SELECT device_id, first, last, stage FROM {} ORDER BY 4, 1, 2").format(
            changes_table(self.catalogue)
        )
        return [(row[0], row[1], row[2], row[3]) for row in self.connection.execute(query)]

    def floor(self) -> datetime | None:
        """Return the floor, or None if it was never raised."""
        query = SQL("SELECT value FROM {} WHERE key = 'floor'").format(state_table(self.catalogue))
        row = self.connection.execute(query).fetchone()
        return None if row is None else row[0]

    def rows(self, tier: str) -> Rows:
        """Return the rows of the tier with this name."""
        found = next(one for one in rollup_tiers(self.catalogue) if one.name == tier)
        return stored_rows(self.connection, self.catalogue, found)

    def roll_up(self) -> Engine:
        """Run rounds until nothing is due."""
        return roll_up(self.url, self.catalogue)


def schema_apply(connection: Connection, catalogue: Catalogue) -> None:
    """Apply the schema as the schema command does."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        connection.execute("SET LOCAL client_min_messages = warning")
        for statement in table_statements(catalogue):
            connection.execute(statement)


def table_drop(connection: Connection, catalogue: Catalogue) -> None:
    tables = [table_of(catalogue), changes_table(catalogue), state_table(catalogue), chunks_table(catalogue)]
    tables += [tier_table(catalogue, tier) for tier in rollup_tiers(catalogue)] + energy_tables(catalogue)
    for name in tables:
        connection.execute(SQL("DROP TABLE IF EXISTS {} CASCADE").format(name))


def engine_of(catalogue: Catalogue) -> Engine:
    """Return an engine that rolls up every minute as soon as it is complete."""
    return Engine(catalogue, settle_s=0, statement_timeout_s=60)


async def rounds(engine: Engine, connection: AsyncConnection, *, most: int = 200) -> None:
    """Run rounds until one finds no work. Closes the connection."""
    try:
        for _ in range(most):
            if not await engine.round(connection):
                return
    finally:
        await connection.close()
    raise AssertionError(f"the rollup was not done after {most} rounds")


class Watched(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that calls `before` with the number of each statement, from 1, before it sends it."""

    number = 0
    before: Callable[[int], None] = staticmethod(lambda number: None)

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        self.number += 1
        self.before(self.number)
        return await super().execute(*arguments, **options)


async def watched_connect(table: Table, before: Callable[[int], None]) -> Watched:
    connection = await Watched.connect(table.url, autocommit=True, prepare_threshold=None, connect_timeout=5)
    connection.before = before
    return connection


def roll_up(url: str, catalogue: Catalogue) -> Engine:
    engine = engine_of(catalogue)

    async def work() -> None:
        await rounds(engine, await engine.connect(url))

    asyncio.run(work())
    return engine


def assert_right(url: str, catalogue: Catalogue, *, kept: Mapping[str, Rows] | None = None) -> int:
    """Check every bucket that no log row of its stage touches against the readings, in plain Python.

    `kept`: rows of each tier when readings were dropped; buckets that start below the floor are compared with it.
    Returns the number of compared buckets.
    """
    compared = 0
    with snapshot(url) as connection:
        floor = connection.execute(SQL("SELECT nullif({}, '-infinity')").format(floor_of(catalogue))).fetchone()
        lowest = (floor or (None,))[0] or EPOCH
        log = [
            (device, first, last, stage)
            for device, first, last, stage in connection.execute(
                SQL("SELECT device_id, first, last, stage FROM {}").format(changes_table(catalogue))
            )
            if last >= lowest
        ]
        readings = raw_readings(connection, catalogue)
        for tier in rollup_tiers(catalogue):
            stored = stored_rows(connection, catalogue, tier)
            expected = {key: row for key, row in oracle(catalogue, readings, tier.seconds).items() if key[1] >= lowest}
            expected |= {key: row for key, row in (kept or {}).get(tier.name, {}).items() if key[1] < lowest}
            for key in stored.keys() | expected.keys():
                if is_touched(log, key, tier):
                    continue
                compared += 1
                assert same(stored.get(key), expected.get(key)), (tier.name, key, stored.get(key), expected.get(key))
        if kept is None:
            _assert_energy(connection, catalogue, readings, log)
    return compared


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, connect_timeout=5) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection


def raw_readings(connection: Connection, catalogue: Catalogue) -> list[tuple[str, datetime, Values]]:
    columns = SQL(", ").join(Identifier(metric.column) for metric in catalogue.metrics)
    query = SQL("SELECT {}, {}, {} FROM {}").format(
        Identifier(catalogue.device), Identifier(catalogue.time), columns, table_of(catalogue)
    )
    return [(row[0], row[1], tuple(map(finite, row[2:]))) for row in connection.execute(query)]


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and abs(value) <= 1e290 else None


def oracle(catalogue: Catalogue, readings: Iterable[tuple[str, datetime, Values]], seconds: int) -> Rows:
    """Return the rows of a tier, by the definition of its columns."""
    buckets: dict[tuple[str, datetime], list[tuple[datetime, Values]]] = defaultdict(list)
    for device, at, values in readings:
        buckets[device, bucket_of(at, seconds)].append((at, values))
    columns = [column.name for column in rollup_columns(catalogue)]
    return {key: _row(catalogue, columns, held) for key, held in buckets.items()}


def bucket_of(at: datetime, seconds: int) -> datetime:
    return EPOCH + (at - EPOCH) // timedelta(seconds=seconds) * timedelta(seconds=seconds)


def _row(catalogue: Catalogue, columns: Sequence[str], held: list[tuple[datetime, Values]]) -> tuple[object, ...]:
    row: dict[str, object] = {"count": len(held), "newest": max(at for at, _ in held)}
    makers: dict[str, Callable[[list[float]], object]] = {"sum": math.fsum, "count": len, "min": min, "max": max}
    for number, metric in enumerate(catalogue.metrics):
        values = [value for _, reading in held if (value := reading[number]) is not None]
        for part, make in makers.items():
            row[f"{metric.name}_{part}"] = make(values) if values or part == "count" else None
    return tuple(row[name] for name in columns)


def stored_rows(connection: Connection, catalogue: Catalogue, tier: Tier) -> Rows:
    columns = SQL(", ").join(Identifier(column.name) for column in rollup_columns(catalogue))
    query: Composed = SQL("SELECT device_id, bucket, {} FROM {}").format(columns, tier_table(catalogue, tier))
    return {(row[0], row[1]): row[2:] for row in connection.execute(query)}


def is_touched(log: Iterable[tuple[str, datetime, datetime, int]], key: tuple[str, datetime], tier: Tier) -> bool:
    """The reader's rule: a bucket is outdated while a log row of its stage or an earlier one overlaps it."""
    device, low = key
    high = low + timedelta(seconds=tier.seconds)
    return any(row[0] == device and row[3] <= tier.stage and row[1] < high and row[2] >= low for row in log)


def same(stored: tuple[object, ...] | None, expected: tuple[object, ...] | None) -> bool:
    if stored is None or expected is None:
        return stored is expected
    return all(
        math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)
        if isinstance(one, float) and isinstance(other, float)
        else one == other
        for one, other in zip(stored, expected, strict=True)
    )


def _assert_energy(
    connection: Connection,
    catalogue: Catalogue,
    readings: list[tuple[str, datetime, Values]],
    log: list[tuple[str, datetime, datetime, int]],
) -> None:
    """Check first reading, last reading and highest value of each row; test_energy checks the sums."""
    flows = {(device, at): values[0] for device, at, values in readings if values[0] is not None}
    for energy_tier in ENERGY_TIERS:
        tier = Tier(energy_tier.suffix, "", energy_tier.seconds)
        expected: dict[tuple[str, datetime], list[tuple[datetime, float]]] = defaultdict(list)
        for (device, at), value in flows.items():
            expected[device, bucket_of(at, tier.seconds)].append((at, value))
        query = SQL("SELECT device_id, bucket, count, first_1, last_1, highest FROM {}")
        stored = {
            (row[0], row[1]): row[2:] for row in connection.execute(query.format(energy_table(catalogue, energy_tier)))
        }
        for key in stored.keys() | expected.keys():
            if not is_touched(log, key, tier):
                held = expected[key]
                row = held and (len(held), min(held)[0], max(held)[0], max(value for _, value in held))
                assert stored.get(key, []) == row, (energy_tier.suffix, key)
