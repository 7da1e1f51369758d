"""Readings as PostgreSQL's binary COPY format, and the statements around it. Pure.

Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": every number big-endian, a row is its
field count and then length and bytes of each field, length -1 for null.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import LiteralString

from psycopg.sql import SQL, Composed, Identifier

from telemetry.catalogue import Catalogue
from telemetry.ddl import table_of
from telemetry.reading import Reading, reading_merge

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
    """The SQL that stores a batch, made once from the catalogue. The rows of a batch have different keys.

    `copy` fills a temporary table and `insert` inserts the rows that are new. Only if some were not, `merge` brings the
    stored rows up to date. (One INSERT … ON CONFLICT DO UPDATE takes 1.5 to 2 times as long for new rows: it also runs
    the triggers of an UPDATE, and it locks each stored row, although most repeated readings change nothing.)

    Both write in the order of the primary key, so that two writers cannot deadlock.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        metrics = [Identifier(metric.column) for metric in catalogue.metrics]
        names = {
            "table": table_of(catalogue),
            "time": Identifier(catalogue.time),
            "device": Identifier(catalogue.device),
            "metrics": SQL(", ").join(metrics),
            "numbers": SQL(", ").join([SQL("{} double precision").format(name) for name in metrics]),
            "assignments": SQL(", ").join(
                [SQL("{0} = coalesce(EXCLUDED.{0}, stored.{0})").format(name) for name in metrics]
            ),
            "replaced": SQL(" OR ").join([_replaces("EXCLUDED", name) for name in metrics]),
            "differs": SQL(" OR ").join([_replaces("incoming", name) for name in metrics]),
            "values": SQL(", ").join([SQL("incoming.{}").format(name) for name in metrics]),
        }
        self.create: Composed = SQL(
            "CREATE TEMP TABLE incoming ({time} timestamptz, {device} text, {numbers}) ON COMMIT DELETE ROWS"
        ).format(**names)
        self.copy: Composed = SQL(
            "COPY pg_temp.incoming ({time}, {device}, {metrics}) FROM STDIN (FORMAT binary)"
        ).format(**names)
        self.insert: Composed = SQL(
            "INSERT INTO {table} ({time}, {device}, {metrics}) SELECT {time}, {device}, {metrics}"
            " FROM pg_temp.incoming ORDER BY {device}, {time} ON CONFLICT DO NOTHING"
        ).format(**names)
        # Parameters: the oldest and the newest time of the batch, so that the planner excludes the other chunks.
        self.merge: Composed = SQL(
            "INSERT INTO {table} AS stored ({time}, {device}, {metrics})"
            " SELECT incoming.{time}, incoming.{device}, {values} FROM pg_temp.incoming CROSS JOIN LATERAL ("
            "SELECT * FROM {table} AS present WHERE present.{device} = incoming.{device}"
            " AND present.{time} = incoming.{time} AND present.{time} BETWEEN %s AND %s LIMIT 1) AS stored"
            " WHERE {differs} ORDER BY incoming.{device}, incoming.{time}"
            " ON CONFLICT ({device}, {time}) DO UPDATE SET {assignments} WHERE {replaced}"
        ).format(**names)


def merged_by_key(readings: Iterable[Reading]) -> list[Reading]:
    """One reading per device and time: the readings of a batch merged in order of arrival."""
    by_key: dict[tuple[str, int], Reading] = {}
    for reading in readings:
        key = (reading.device_id, reading.us)
        earlier = by_key.get(key)
        by_key[key] = reading if earlier is None else reading_merge(earlier, reading)
    return list(by_key.values())


def _replaces(source: LiteralString, name: Identifier) -> Composed:
    """Whether the value of `source` replaces the stored one. Null replaces nothing."""
    return SQL("{0}.{1} <> stored.{1} OR (stored.{1} IS NULL AND {0}.{1} IS NOT NULL)").format(SQL(source), name)
