"""Rollup: what the change log costs a writer, and what the rollup costs, beside a table without triggers.

Two hypertables are filled in turn, one with the whole schema and one without triggers, so that other work on the
machine affects both. Compare ratios, not absolute numbers. CPU is that of the database session.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from bench.report import results
from bench.stack import bench_stack
from rollup.engine import Engine
from telemetry.catalogue import Catalogue, catalogue_load
from telemetry.changes import readable_tables
from telemetry.ddl import schema_statements, table_of
from telemetry.reading import Reading
from telemetry.schema import table_statements
from telemetry.times import SECOND_US
from writer.storage.rows import Statements, binary_rows

Connection = psycopg.Connection[tuple[Any, ...]]
Figures = dict[str, float]
# Name, devices, seconds of readings at 1 Hz.
LOADS = (("3 devices, one day at 1 Hz", 3, 86_400), ("1,000 devices, one minute at 1 Hz", 1_000, 60))
BATCH_DEVICES = (1, 3, 100, 1_000)
# A Monday at midnight, UTC: the readings of a COPY lie within one day.
START_US = 1_767_571_200 * SECOND_US


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=200_000, help="readings per COPY (default: 200,000)")
    parser.add_argument("--batches", type=int, default=60, help="batches per size (default: 60)")
    parser.add_argument("--rounds", type=int, default=5, help="COPYs per table (default: 5)")


async def run(options: argparse.Namespace) -> None:
    told = results.about()
    with bench_stack() as stack, psycopg.connect(stack.env["TELEMETRY_ADMIN_URL"], autocommit=True) as connection:
        plain, logged = (replace(catalogue_load(), table=f"bench_rollup_{kind}") for kind in ("plain", "logged"))
        with _tables(connection, plain, logged):
            copies = _copies(connection, plain, logged, options)
            batches = [_batches(connection, plain, logged, devices, options) for devices in BATCH_DEVICES]
        with _tables(connection, plain, logged):
            url = stack.env["TELEMETRY_ADMIN_URL"]
            rollups = [await _rollup(url, connection, logged, *load) for load in LOADS]
    _print(copies, batches, rollups)
    results.save("rollup", told, {"copy": copies, "batches": batches, "rollups": rollups})


@contextmanager
def _tables(connection: Connection, plain: Catalogue, logged: Catalogue) -> Iterator[None]:
    def drop() -> None:
        for name in (table_of(plain), table_of(logged), *readable_tables(logged)):
            connection.execute(SQL("DROP TABLE IF EXISTS {} CASCADE").format(name))

    drop()
    for statement in (*schema_statements(plain), *table_statements(logged)):
        connection.execute(statement)
    yield
    drop()


def _copies(connection: Connection, plain: Catalogue, logged: Catalogue, options: argparse.Namespace) -> Figures:
    """Rows per second of session CPU; the best round of each."""
    rates: dict[str, list[float]] = {"plain": [], "logged": []}
    for number in range(options.rounds):
        data = binary_rows(_readings(3, options.rows // 3, START_US + number * 86_400 * SECOND_US))
        for kind, catalogue in (("plain", plain), ("logged", logged)):
            columns = ["time", "device_id", *(metric.column for metric in catalogue.metrics)]
            copy = SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
                table_of(catalogue), SQL(", ").join(map(Identifier, columns))
            )
            with _cpu_of(connection) as spent:
                _copy(connection, copy, data)
            rates[kind].append(options.rows / spent.seconds)
    best = {kind: max(values) for kind, values in rates.items()}
    return {**best, "ratio": best["logged"] / best["plain"]}


def _batches(
    connection: Connection, plain: Catalogue, logged: Catalogue, devices: int, options: argparse.Namespace
) -> Figures:
    """Milliseconds of session CPU per batch, as the writer stores it; the median of each."""
    times: dict[str, list[float]] = {"plain": [], "logged": []}
    statements = {"plain": Statements(plain), "logged": Statements(logged)}
    connection.execute("DROP TABLE IF EXISTS incoming")
    connection.execute(statements["plain"].create)
    for number in range(options.batches):
        data = binary_rows(_readings(devices, 1, START_US + (30 * 86_400 + number) * SECOND_US))
        for kind, statement in statements.items():
            with _cpu_of(connection) as spent, connection.transaction():
                _copy(connection, statement.copy, data)
                connection.execute(statement.insert)
            times[kind].append(spent.seconds * 1000)
    median = {kind: statistics.median(values) for kind, values in times.items()}
    return {"devices": devices, **median, "ratio": median["plain"] / median["logged"]}


async def _rollup(
    url: str, connection: Connection, catalogue: Catalogue, name: str, devices: int, seconds: int
) -> dict[str, object]:
    copy = Statements(catalogue)
    connection.execute("DROP TABLE IF EXISTS incoming")
    connection.execute(copy.create)
    with connection.transaction():
        _copy(connection, copy.copy, binary_rows(_readings(devices, seconds, START_US)))
        connection.execute(copy.insert)
    engine = Engine(catalogue, settle_s=0, statement_timeout_s=600)
    session = await engine.connect(url)
    try:
        began, cpu, own = time.perf_counter(), _session_cpu(session.info.backend_pid), time.process_time()
        while await engine.round(session):
            pass
        spent = _session_cpu(session.info.backend_pid) - cpu
    finally:
        await session.close()
    million = engine.progress.readings / 1e6
    return {"name": name, "readings": engine.progress.readings, "seconds": time.perf_counter() - began,
            "database_cpu_s_per_million": spent / million,
            "rollup_cpu_s_per_million": (time.process_time() - own) / million}  # fmt: skip


def _readings(devices: int, seconds: int, first_us: int) -> list[Reading]:
    width = range(len(catalogue_load().metrics))
    return [
        Reading(f"bench_{device:05}", first_us + second * SECOND_US, tuple(float((second + n) % 977) for n in width))
        for second in range(seconds)
        for device in range(devices)
    ]


def _copy(connection: Connection, statement: Any, data: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(data)


@dataclass
class SessionSpent:
    """CPU seconds of a session, set at the end of the block."""

    seconds: float = 0.0


@contextmanager
def _cpu_of(connection: Connection) -> Iterator[SessionSpent]:
    spent, before = SessionSpent(), _session_cpu(connection.info.backend_pid)
    yield spent
    spent.seconds = _session_cpu(connection.info.backend_pid) - before


def _session_cpu(pid: int) -> float:
    """Seconds on a core, which the scheduler counts in ns; the ticks of `stat` are too coarse for a batch."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _print(copies: Figures, batches: list[Figures], rollups: list[dict[str, object]]) -> None:
    print(f"COPY: {copies['plain']:,.0f} rows/s without triggers, {copies['logged']:,.0f} with: {copies['ratio']:.2f}")
    for row in batches:
        figures = f"{row['plain']:6.2f} ms without triggers, {row['logged']:6.2f} with: {row['ratio']:.2f}"
        print(f"batch of {row['devices']:>5}: {figures}")
    for rollup in rollups:
        print(", ".join(_figure(*item) for item in rollup.items()))


def _figure(name: str, value: object) -> str:
    return f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
