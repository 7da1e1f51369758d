"""Readings as PostgreSQL's binary COPY format, and the statements around it. Pure.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": every number big-endian, a row is its
field count and then length and bytes of each field, length -1 for null.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from psycopg.sql import SQL, Composed, Identifier

from telemetry.catalogue import Catalogue
from telemetry.ddl import table_of
from telemetry.reading import Reading

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
# timestamptz counts microseconds from 2000-01-01T00:00:00Z.
POSTGRES_EPOCH_US = 946_684_800_000_000

_TIME = struct.Struct("!hiqi")
_NUMBER = struct.Struct("!id")
_NULL = struct.pack("!i", -1)


def binary_rows(readings: Iterable[Reading]) -> bytes:
    """Header, rows (time, device id, the metrics in catalogue order) and trailer."""
    parts = [HEADER]
    for reading in readings:
        device_id = reading.device_id.encode()
        columns = 2 + len(reading.values)
        parts.append(_TIME.pack(columns, 8, reading.us - POSTGRES_EPOCH_US, len(device_id)) + device_id)
        parts += [_NULL if value is None else _NUMBER.pack(8, value) for value in reading.values]
    parts.append(TRAILER)
    return b"".join(parts)


class Statements:
    """How a batch gets into the hypertable: COPY into `incoming`, then one INSERT. Made once from the catalogue.

    The order of the INSERT is the order in which rows are locked: the same for every batch, so that two writers cannot
    deadlock. Of two readings of one device and time the first to arrive stays.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        metrics = [Identifier(metric.column) for metric in catalogue.metrics]
        names = {
            "table": table_of(catalogue),
            "time": Identifier(catalogue.time),
            "device": Identifier(catalogue.device),
            "metrics": SQL(", ").join(metrics),
            "numbers": SQL(", ").join([SQL("{} double precision").format(name) for name in metrics]),
        }
        self.create: Composed = SQL(
            "CREATE TEMP TABLE incoming ({time} timestamptz, {device} text, {numbers}) ON COMMIT DELETE ROWS"
        ).format(**names)
        self.copy: Composed = SQL(
            "COPY pg_temp.incoming ({time}, {device}, {metrics}) FROM STDIN (FORMAT binary)"
        ).format(**names)
        self.insert: Composed = SQL(
            "INSERT INTO {table} ({time}, {device}, {metrics})"
            " SELECT DISTINCT ON ({device}, {time}) {time}, {device}, {metrics} FROM pg_temp.incoming"
            " ORDER BY {device}, {time}, ctid ON CONFLICT DO NOTHING"
        ).format(**names)
