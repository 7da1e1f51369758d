"""Filling the hypertable with simulated history, by binary COPY, straight into the table; only what is missing."""

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
# For the COPY of one day of one device, which takes about a second.
STATEMENT_TIMEOUT = "120s"
# One connection is one PostgreSQL process, and two of those keep a small machine busy.
CONNECTIONS = 2

Span = tuple[int, int]  # [start, end), whole seconds since the epoch
Connection = psycopg.Connection[tuple[Any, ...]]


class Filler:
    """Fills [start, end) for devices of one catalogue. `report` is called with the number of rows after each COPY."""

    def __init__(self, url: str, catalogue: Catalogue, report: Callable[[int], None]) -> None:
        self._url = url
        self._catalogue = catalogue
        self._metrics = tuple(metric for metric in catalogue.metrics if metric.name in METRICS)
        self._report = report
        self._stop = threading.Event()

    def missing(self, device_id: str, span: Span) -> list[Span]:
        """What to load, a day at most each, in the order that leaves no gap behind wherever it is interrupted.

        What lies between the oldest and the newest stored row is taken to be there.
        """
        with self._connected() as connection:
            stored = self._stored(connection, device_id, span)
        if stored is None:
            return days(*span)
        return [*reversed(days(span[0], stored[0])), *days(stored[1], span[1])]

    def fill(self, work: Mapping[str, list[Span]]) -> None:
        """Load what `missing` said, device by device, over a few connections. Raises psycopg.Error."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            filling = [pool.submit(self._fill_device, device_id, spans) for device_id, spans in work.items()]
            try:
                for done in filling:
                    done.result()
            finally:
                self._stop.set()  # an error in one of them, or Ctrl-C, ends the others after their current day

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
        """From the first whole second that is not before the oldest row to the first that is after the newest one."""
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
    """[start, end) cut at each midnight UTC, oldest first."""
    cuts = [start_s, *range((start_s // DAY_S + 1) * DAY_S, end_s, DAY_S), end_s]
    return list(pairwise(cuts)) if start_s < end_s else []


def day_rows(device_id: str, first_s: int, values: Mapping[str, Seconds], metrics: tuple[Metric, ...]) -> bytes:
    """One row a second from `first_s` on, as binary COPY: an array of records that look like its rows."""
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
