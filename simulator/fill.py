"""Simulated history for the hypertable, loaded by binary COPY. Loads only missing rows."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.sql import SQL, Composed, Identifier

from simulator.house import METRICS, House
from simulator.noise import DAY_S, Seconds
from telemetry.catalogue import Catalogue, Metric
from telemetry.ddl import table_of
from telemetry.times import SECOND_US, datetime_from_us, us_from_datetime
from writer.storage.rows import HEADER, POSTGRES_EPOCH_US, TRAILER

CONNECT_TIMEOUT_S = 5
# for the COPY of one device and day, which takes about 1 s
STATEMENT_TIMEOUT = "120s"
# Each connection is a PostgreSQL process; two of them fill a small machine.
CONNECTIONS = 2

Span = tuple[int, int]  # [start, end), in whole seconds since 1970-01-01 UTC
Connection = psycopg.Connection[tuple[Any, ...]]


class Filler:
    """Fills [start, end) for the devices of one catalogue. Calls `report` with the number of rows after each COPY."""

    def __init__(self, url: str, catalogue: Catalogue, report: Callable[[int], None]) -> None:
        self._url = url
        self._catalogue = catalogue
        self._metrics = tuple(metric for metric in catalogue.metrics if metric.name in METRICS)
        self._report = report
        self._stop = threading.Event()

    def missing(self, device_id: str, span: Span) -> list[Span]:
        """Return the spans to load, at most one day each, in an order that leaves no gap after an interruption.

        Rows between the oldest and the newest stored row are assumed to exist.
        """
        with self._connected() as connection:
            stored = self._stored(connection, device_id, span)
        if stored is None:
            return days(*span)
        return [*reversed(days(span[0], stored[0])), *days(stored[1], span[1])]

    def fill(self, work: Mapping[str, list[Span]]) -> None:
        """Load the spans that `missing` returned, device by device, over a few connections. Raises psycopg.Error."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            filling = [pool.submit(self._fill_device, device_id, spans) for device_id, spans in work.items()]
            try:
                for done in filling:
                    done.result()
            finally:
                self._stop.set()  # after an error or Ctrl-C, the other threads stop after their current day

    def _fill_device(self, device_id: str, spans: list[Span]) -> None:
        house = House(device_id)
        with self._connected() as connection:
            for start_s, end_s in spans:
                if self._stop.is_set():
                    return
                for first_s, values in house.seconds(start_s, end_s):
                    rows = day_rows(device_id, first_s, values, self._metrics)
                    with connection.cursor() as cursor, cursor.copy(self._copy_statement()) as copy:
                        copy.write(rows)
                self._report(end_s - start_s)

    def _stored(self, connection: Connection, device_id: str, span: Span) -> Span | None:
        """Return [start, end) of the stored rows in whole seconds, or None without rows."""
        edges = SQL("SELECT min({time}), max({time}) FROM {table} WHERE {device} = %s AND {time} >= %s AND {time} < %s")
        query = edges.format(
            table=table_of(self._catalogue),
            time=Identifier(self._catalogue.time),
            device=Identifier(self._catalogue.device),
        )
        between = [datetime_from_us(second * SECOND_US) for second in span]
        row = connection.execute(query, [device_id, *between]).fetchone()
        if row is None or row[0] is None:
            return None
        oldest_us, newest_us = map(us_from_datetime, row)
        return -(-oldest_us // SECOND_US), newest_us // SECOND_US + 1

    def _copy_statement(self) -> Composed:
        columns = [self._catalogue.time, self._catalogue.device, *(metric.column for metric in self._metrics)]
        return SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            table_of(self._catalogue), SQL(", ").join(map(Identifier, columns))
        )

    def _connected(self) -> Connection:
        connection: Connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
        connection.execute("SELECT set_config('statement_timeout', %s, false)", [STATEMENT_TIMEOUT])
        return connection


def days(start_s: int, end_s: int) -> list[Span]:
    """Return [start, end) split at each midnight UTC, oldest first."""
    cuts = [start_s, *range((start_s // DAY_S + 1) * DAY_S, end_s, DAY_S), end_s]
    return list(pairwise(cuts)) if start_s < end_s else []


def day_rows(device_id: str, first_s: int, values: Mapping[str, Seconds], metrics: tuple[Metric, ...]) -> bytes:
    """Return one row per second from `first_s` on in the format of binary COPY, built as an array of records."""
    name = device_id.encode()
    number = [(metric.name, [("length", ">i4"), ("value", ">f8")]) for metric in metrics]
    row = np.dtype(
        [("head", ">i2"), ("time", [("length", ">i4"), ("value", ">i8")]), ("device", f"S{4 + len(name)}"), *number]
    )
    count = len(next(iter(values.values())))
    rows: NDArray[np.void] = np.zeros(count, row)
    rows["head"] = 2 + len(metrics)
    rows["time"]["length"] = 8
    rows["time"]["value"] = (first_s + np.arange(count)) * SECOND_US - POSTGRES_EPOCH_US
    rows["device"] = struct.pack("!i", len(name)) + name
    for metric in metrics:
        rows[metric.name]["length"] = 8
        rows[metric.name]["value"] = values[metric.name]
    return HEADER + rows.tobytes() + TRAILER
