"""Rollup tiers: their names, their tables, and the meaning of each column. Pure: builds SQL.

A row of a tier is one device in one bucket that holds at least one reading. Buckets are aligned to the epoch in UTC.
`count` is the number of readings, `newest` the time of the last one. For each metric, `<metric>_count` counts the
values that are not null, and `_sum`, `_min`, `_max` are null where that is 0. Values that are not finite count as null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.sql import SQL, Composable, Composed, Identifier

from telemetry.catalogue import TIER_SECONDS, Catalogue, Metric

BUCKET = "bucket"
DEVICE = "device_id"
COUNT = "count"
NEWEST = "newest"
# Tiers with shorter buckets follow within a minute, the others and the energy tiers within a quarter of an hour.
COARSE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Tier:
    """A rollup tier: "1m" and so on, its unqualified table, and the length of its buckets."""

    name: str
    table: str
    seconds: int

    @property
    def stage(self) -> int:
        """The stage of the change log up to which a logged change may be missing in this tier."""
        return 0 if self.seconds < COARSE_SECONDS else 1

    @property
    def interval(self) -> str:
        """The length of a bucket as PostgreSQL reads it."""
        return f"{self.seconds} seconds"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a tier: its expression over finite raw values (`raw`) and over rows of a finer tier (`merged`)."""

    name: str
    type: LiteralString
    raw: Composable
    merged: Composable


def rollup_tiers(catalogue: Catalogue) -> tuple[Tier, ...]:
    """The tiers, finest first. Each length divides the next one."""
    return tuple(Tier(name, f"{catalogue.table}_{name}", seconds) for name, seconds in TIER_SECONDS.items())


def tier_table(catalogue: Catalogue, tier: Tier) -> Identifier:
    """The qualified name of a tier."""
    return Identifier(catalogue.schema, tier.table)


def rollup_columns(catalogue: Catalogue) -> tuple[Column, ...]:
    """Every column but bucket and device, in the order of the table: what is read most comes first, since PostgreSQL
    walks through a row from its beginning to the last column that it needs."""
    newest = SQL("max({})")
    return (
        Column(COUNT, "bigint NOT NULL", SQL("count(*)"), SQL("sum(count)::bigint")),
        Column(NEWEST, "timestamptz", newest.format(Identifier(catalogue.time)), newest.format(Identifier(NEWEST))),
        *(_metric_column(metric, part) for part in _PARTS for metric in catalogue.metrics),
    )


def names_of(columns: Sequence[Column]) -> Composed:
    """Bucket, device and `columns`, as a list for INSERT or SELECT."""
    return SQL(", ").join(map(Identifier, (BUCKET, DEVICE, *(column.name for column in columns))))


def metric_column(metric: Metric, part: str) -> Identifier:
    """The column of a tier that holds `part` of a metric: count, sum, min or max."""
    return Identifier(f"{metric.name}_{part}")


def rollup_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """The tiers' tables. Each statement is safe to repeat, and adds the columns of new metrics.

    The device comes last: a column behind one of fixed length is found at once, behind a text it is not.
    """
    columns = [SQL("{} {}").format(Identifier(column.name), SQL(column.type)) for column in rollup_columns(catalogue)]
    for tier in rollup_tiers(catalogue):
        table = tier_table(catalogue, tier)
        yield SQL(
            "CREATE TABLE IF NOT EXISTS {table} ({b} timestamptz NOT NULL,\n    {columns},\n    {d} text NOT NULL,"
            " PRIMARY KEY ({d}, {b}))"
        ).format(table=table, columns=SQL(",\n    ").join(columns), b=Identifier(BUCKET), d=Identifier(DEVICE))
        added = SQL(", ").join(SQL("ADD COLUMN IF NOT EXISTS {}").format(column) for column in columns)
        yield SQL("ALTER TABLE {} {}").format(table, added)


# Type, made of the raw value, made of the column of a finer tier. A sum of bigint is numeric; a sum of nothing is null.
_PARTS: Mapping[str, tuple[LiteralString, LiteralString, LiteralString]] = {
    "sum": ("double precision", "sum({})", "sum({})"),
    "count": ("bigint NOT NULL DEFAULT 0", "count({})", "coalesce(sum({}), 0)::bigint"),
    "min": ("double precision", "min({})", "min({})"),
    "max": ("double precision", "max({})", "max({})"),
}


def _metric_column(metric: Metric, part: str) -> Column:
    kind, raw, merged = _PARTS[part]
    name = f"{metric.name}_{part}"
    return Column(name, kind, SQL(raw).format(Identifier(metric.column)), SQL(merged).format(Identifier(name)))
