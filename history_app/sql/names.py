"""Names and fragments that the statements share. Built from the catalogue only; every value is a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from psycopg.sql import SQL, Composable, Composed, Identifier

from core.catalogue import CATALOGUE
from telemetry.ddl import table_of
from telemetry.times import datetime_from_us, us_from_datetime

TABLE = table_of(CATALOGUE)
TIME = Identifier(CATALOGUE.time)
DEVICE = Identifier(CATALOGUE.device)
TIME_US = SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(TIME)


def newest_rows(columns: Sequence[Composable], *, where: LiteralString = "", limit: int = 1) -> Composed:
    """The newest readings of `%(device)s`, newest first. `where`: a further condition on `{time}`.

    TimescaleDB searches the chunks from the newest to the oldest and stops at `limit`.
    """
    return SQL(
        "SELECT {columns} FROM {table} WHERE {device} = %(device)s{where} ORDER BY {time} DESC LIMIT {limit}"
    ).format(
        columns=SQL(", ").join(columns),
        table=TABLE,
        device=DEVICE,
        where=SQL(where).format(time=TIME),
        time=TIME,
        limit=SQL(str(limit)),
    )


def bucket_start(time: Composable, length: Composable | None) -> Composed:
    """The start of the window's bucket that holds `time`. Parameters: `low`; `edges` unless all have one `length`."""
    if length is None:
        return SQL("(%(edges)s::timestamptz[])[width_bucket({}, %(edges)s::timestamptz[])]").format(time)
    return SQL("time_bucket({}, {}, %(low)s::timestamptz)").format(length, time)


def moment(us: int) -> datetime:
    """µs as a parameter."""
    return datetime_from_us(us)


def microseconds(found: datetime | None) -> int | None:
    """A selected timestamptz as µs."""
    return None if found is None else us_from_datetime(found)


def in_arrays(columns: Sequence[Composable]) -> Composed:
    """An array of each column."""
    return SQL(", ").join(SQL("array_agg({})").format(column) for column in columns)


def never_null_values(names: Sequence[Composable], aggs: Sequence[str]) -> list[Composable]:
    """The columns of each metric's aggregates with NaN for null. A count is never null."""
    return [name if aggs[index % len(aggs)] == "count" else never_null(name) for index, name in enumerate(names)]


def never_null(number: Composable) -> Composable:
    """A double precision expression, NaN for null."""
    return SQL("coalesce({}, 'NaN')").format(number)
