"""Rollup tiers: which there are, their columns, and what each column holds. Pure; one list for every way to keep them.

A row of a tier is one device in one bucket that holds at least one reading. Buckets are aligned to the epoch in UTC.
`count` is the number of readings; of each metric `<metric>_count` counts the values that are not null, and `_sum`,
`_min`, `_max` are null where that is 0. A power metric also has `_pos` (≥ 0) and `_neg` (≤ 0), the sums of its
positive and of its negative values, 0 where there were none: `_pos` + `_neg` = `_sum`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier

from telemetry.catalogue import TIER_SECONDS, Catalogue, Metric

BUCKET = "bucket"
DEVICE = "device_id"
COUNT = "count"


@dataclass(frozen=True, slots=True)
class Tier:
    """A rollup tier: "1m" and so on, its unqualified table, and the length of its buckets."""

    name: str
    table: str
    seconds: int

    @property
    def interval(self) -> str:
        """The length of a bucket as PostgreSQL reads it."""
        return f"{self.seconds} seconds"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a tier: what it is made of raw rows (`raw`) and of the rows of a finer tier (`merged`), and how what
    is stored and what came in are joined (`joined`, which sees both as `t` and `excluded`)."""

    name: str
    type: str
    raw: Composable
    merged: Composable
    joined: Composable


def tiers_of(catalogue: Catalogue) -> tuple[Tier, ...]:
    """Finest first. Each length divides the next one."""
    return tuple(Tier(name, f"{catalogue.table}_{name}", seconds) for name, seconds in TIER_SECONDS.items())


def state_table(catalogue: Catalogue) -> Identifier:
    """The table that says since when each tier is complete: `(tier, complete_since)`."""
    return Identifier(catalogue.schema, f"{catalogue.table}_tiers")


def tier_table(catalogue: Catalogue, tier: Tier) -> Identifier:
    """The qualified name of a tier."""
    return Identifier(catalogue.schema, tier.table)


def columns_of(catalogue: Catalogue) -> tuple[Column, ...]:
    """Every column but bucket and device."""
    readings = Column(COUNT, "bigint NOT NULL", SQL("count(*)"), *_total(COUNT))
    return (readings, *(column for metric in catalogue.metrics for column in _metric_columns(metric)))


def names_of(columns: Sequence[Column]) -> Composed:
    """Bucket, device and `columns`, as a list for INSERT or SELECT."""
    return SQL(", ").join(map(Identifier, (BUCKET, DEVICE, *(column.name for column in columns))))


def metric_column(metric: Metric, part: str) -> Identifier:
    """The column of a tier that holds `part` of a metric: count, sum, min, max, pos or neg."""
    return Identifier(f"{metric.name}_{part}")


def _metric_columns(metric: Metric) -> Iterator[Column]:
    value = Identifier(metric.column)
    name = f"{metric.name}_count"
    yield Column(name, "bigint NOT NULL DEFAULT 0", SQL("count({})").format(value), *_total(name))
    name = f"{metric.name}_sum"
    both = SQL("coalesce(t.{0} + excluded.{0}, t.{0}, excluded.{0})").format(Identifier(name))
    merged = SQL("sum({})").format(Identifier(name))
    yield Column(name, "double precision", SQL("sum({})").format(value), merged, both)
    for part, pick in (("min", "least"), ("max", "greatest")):
        name = f"{metric.name}_{part}"
        both = SQL("{1}(t.{0}, excluded.{0})").format(Identifier(name), SQL(pick))
        raw, merged = (SQL("{}({})").format(SQL(part), column) for column in (value, Identifier(name)))
        yield Column(name, "double precision", raw, merged, both)
    if metric.is_power:
        for part, sign in (("pos", ">"), ("neg", "<")):
            name = f"{metric.name}_{part}"
            raw = SQL("coalesce(sum({0}) FILTER (WHERE {0} {1} 0), 0)").format(value, SQL(sign))
            both = SQL("t.{0} + excluded.{0}").format(Identifier(name))
            merged = SQL("coalesce(sum({}), 0)").format(Identifier(name))
            yield Column(name, "double precision NOT NULL DEFAULT 0", raw, merged, both)


def _total(name: str) -> tuple[Composable, Composable]:
    """How a count is merged (PostgreSQL's sum of bigint is numeric, and null of nothing) and joined."""
    column = Identifier(name)
    return SQL("coalesce(sum({}), 0)::bigint").format(column), SQL("t.{0} + excluded.{0}").format(column)
