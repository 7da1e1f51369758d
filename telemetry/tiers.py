"""Rollup tiers: which there are, their columns, and what each column holds. Pure; one list for every way to keep them.

A row of a tier is one device in one bucket that holds at least one reading. Buckets are aligned to the epoch in UTC.
`count` is the number of readings, `newest` the time of the last one. Of each metric, `<metric>_count` counts the values
that are not null, and `_sum`, `_min`, `_max` are null where that is 0. A power metric also has `_pos` (≥ 0) and
`_neg` (≤ 0), the sums of its positive and of its negative values, 0 where there were none: `_pos` + `_neg` = `_sum`.
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
ROLLUP_SECONDS = {"30s": 30, "1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}


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
    """A column of a tier: what it is made of raw rows (`raw`) and of the rows of a finer tier (`merged`), and how what
    is stored and what came in are joined (`joined`, which sees both as `t` and `excluded`)."""

    name: str
    type: LiteralString
    raw: Composable
    merged: Composable
    joined: Composable


def tiers_of(catalogue: Catalogue) -> tuple[Tier, ...]:
    """Finest first. Each length divides the next one."""
    return tuple(Tier(name, f"{catalogue.table}_{name}", seconds) for name, seconds in TIER_SECONDS.items())


def rollup_tiers(catalogue: Catalogue) -> tuple[Tier, ...]:
    """The tiers that the rollup builds, finest first. Each length divides the next one."""
    return tuple(Tier(name, f"{catalogue.table}_{name}", seconds) for name, seconds in ROLLUP_SECONDS.items())


def rollup_columns(catalogue: Catalogue) -> tuple[Column, ...]:
    """Every column of a rollup tier but bucket and device, in the order of the table.

    Values that are not finite count as null: `raw` sees the raw columns with those already removed (`ddl.finite`).
    """
    return tuple(column for column in columns_of(catalogue) if not column.name.endswith(("_pos", "_neg")))


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


def state_table(catalogue: Catalogue) -> Identifier:
    """The table that says since when each tier is complete: `(tier, complete_since)`."""
    return Identifier(catalogue.schema, f"{catalogue.table}_tiers")


def tier_table(catalogue: Catalogue, tier: Tier) -> Identifier:
    """The qualified name of a tier."""
    return Identifier(catalogue.schema, tier.table)


def columns_of(catalogue: Catalogue) -> tuple[Column, ...]:
    """Every column but bucket and device, in the order in which a table has them: what is asked for most comes first,
    since PostgreSQL walks through a row from its beginning to the last column that it needs."""
    time = Identifier(catalogue.time)
    return (
        Column(COUNT, "bigint NOT NULL", SQL("count(*)"), *_merged_and_joined(COUNT, "count")),
        Column(NEWEST, "timestamptz", SQL("max({})").format(time), *_merged_and_joined(NEWEST, "max")),
        *(
            _metric_column(metric, part)
            for part in _PARTS
            for metric in catalogue.metrics
            if metric.is_power or part not in _POWER_PARTS
        ),
    )


def names_of(columns: Sequence[Column]) -> Composed:
    """Bucket, device and `columns`, as a list for INSERT or SELECT."""
    return SQL(", ").join(map(Identifier, (BUCKET, DEVICE, *(column.name for column in columns))))


def metric_column(metric: Metric, part: str) -> Identifier:
    """The column of a tier that holds `part` of a metric: count, sum, min, max, pos or neg."""
    return Identifier(f"{metric.name}_{part}")


# Type, made of the raw value, made of the column of a finer tier, joined. Sums of bigint are numeric, sums of nothing
# are null; least and greatest pass over nulls.
_PARTS: Mapping[str, tuple[LiteralString, LiteralString, LiteralString, LiteralString]] = {
    "sum": (
        "double precision",
        "sum({value})",
        "sum({name})",
        "coalesce(t.{name} + excluded.{name}, t.{name}, excluded.{name})",
    ),
    "count": (
        "bigint NOT NULL DEFAULT 0",
        "count({value})",
        "coalesce(sum({name}), 0)::bigint",
        "t.{name} + excluded.{name}",
    ),
    "min": ("double precision", "min({value})", "min({name})", "least(t.{name}, excluded.{name})"),
    "max": ("double precision", "max({value})", "max({name})", "greatest(t.{name}, excluded.{name})"),
    "pos": (
        "double precision NOT NULL DEFAULT 0",
        "coalesce(sum({value}) FILTER (WHERE {value} > 0), 0)",
        "coalesce(sum({name}), 0)",
        "t.{name} + excluded.{name}",
    ),
    "neg": (
        "double precision NOT NULL DEFAULT 0",
        "coalesce(sum({value}) FILTER (WHERE {value} < 0), 0)",
        "coalesce(sum({name}), 0)",
        "t.{name} + excluded.{name}",
    ),
}
_POWER_PARTS = ("pos", "neg")


def _metric_column(metric: Metric, part: str) -> Column:
    kind, raw, _, _ = _PARTS[part]
    name = f"{metric.name}_{part}"
    return Column(name, kind, SQL(raw).format(value=Identifier(metric.column)), *_merged_and_joined(name, part))


def _merged_and_joined(name: str, part: str) -> tuple[Composed, Composed]:
    _, _, merged, joined = _PARTS[part]
    return SQL(merged).format(name=Identifier(name)), SQL(joined).format(name=Identifier(name))
