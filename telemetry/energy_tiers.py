"""The energy tiers: one row per device, metric and bucket that holds a reading of that metric.

A row depends only on the readings inside its bucket. So a change of a reading touches one bucket per tier, and rows of
adjoining buckets can be joined in time order (docs/energy.md). Times are UTC; buckets are multiples of their length.

`count`                  non-null readings of the metric in the bucket, at least 1
`first_1` … `first_3`    times of the first three readings, null where there are fewer
`value_1`, `value_2`     values of the first two
`last_1` … `last_3`      times of the last three readings, newest first
`last_value`             value of the last reading
`positive`, `negative`   power: unit × seconds of each direction, of readings 3 … count − 1: their reach and their end
                         follow from the bucket alone. Counter: `positive` is the increase from first to last reading
`held`                   power: seconds held by readings 3 … count − 1. Counter: seconds from first to last reading
`highest`                the highest value, and in `highest_time` the first time of it
`packed`                 hours and days only: the columns of PACKED as one value, 8 bytes per column. A reader takes
                         thousands of rows at once: to aggregate one column costs a tenth of 15 columns
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier

from telemetry.catalogue import Catalogue, Metric


@dataclass(frozen=True, slots=True)
class EnergyTier:
    """`suffix` follows the table's name; `seconds` is the length of a bucket."""

    suffix: str
    seconds: int

    @property
    def interval(self) -> str:
        return f"{self.seconds} seconds"


QUARTER = EnergyTier("energy", 900)
HOUR = EnergyTier("energy_1h", 3_600)
DAY = EnergyTier("energy_1d", 86_400)
ENERGY_TIERS = (QUARTER, HOUR, DAY)

# Name and type, in the order of the table. The text columns come last: the others are then aligned without padding.
COLUMNS: tuple[tuple[str, str], ...] = (
    ("bucket", "timestamptz NOT NULL"),
    ("count", "bigint NOT NULL"),
    ("first_1", "timestamptz NOT NULL"),
    ("first_2", "timestamptz"),
    ("first_3", "timestamptz"),
    ("last_1", "timestamptz NOT NULL"),
    ("last_2", "timestamptz"),
    ("last_3", "timestamptz"),
    ("value_1", "double precision NOT NULL"),
    ("value_2", "double precision"),
    ("last_value", "double precision NOT NULL"),
    ("positive", "double precision NOT NULL"),
    ("negative", "double precision NOT NULL"),
    ("held", "double precision NOT NULL"),
    ("highest", "double precision NOT NULL"),
    ("highest_time", "timestamptz NOT NULL"),
    ("metric", "text NOT NULL"),
    ("device_id", "text NOT NULL"),
)
COLUMN_NAMES = tuple(name for name, _ in COLUMNS)
# Name and type of what a packed row holds, in order: times in µs since 2000, −infinity where there is none.
PACKED: tuple[tuple[str, str], ...] = tuple(
    (name, kind.removesuffix(" NOT NULL")) for name, kind in COLUMNS if name not in ("bucket", "metric", "device_id")
)
_SEND = {"bigint": "int8send", "timestamptz": "timestamptz_send", "double precision": "float8send"}


def energy_metrics(catalogue: Catalogue) -> tuple[Metric, ...]:
    """Metrics with rows in the energy tiers: every power and every energy counter, in catalogue order."""
    return tuple(metric for metric in catalogue.metrics if metric.is_power or metric.is_counter)


def energy_table(catalogue: Catalogue, tier: EnergyTier) -> Identifier:
    """The qualified name of a tier's table."""
    return Identifier(catalogue.schema, f"{catalogue.table}_{tier.suffix}")


def energy_tables(catalogue: Catalogue) -> list[Identifier]:
    """The tables of all energy tiers, finest first."""
    return [energy_table(catalogue, tier) for tier in ENERGY_TIERS]


def energy_ddl(catalogue: Catalogue) -> Iterator[Composed]:
    """Tables of the energy tiers. Safe to repeat; a metric that joins the catalogue needs no change, only rows."""
    columns = SQL(",\n    ").join(SQL("{} ").format(Identifier(name)) + SQL(kind) for name, kind in COLUMNS)
    for table in energy_tables(catalogue):
        yield SQL("CREATE TABLE IF NOT EXISTS {} (\n    {},\n    PRIMARY KEY (device_id, metric, bucket)\n)").format(
            table, columns
        )
    # Quarters are most of the rows, and a reader takes few of them at once: their columns are packed as they are read.
    for tier in (HOUR, DAY):
        yield SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS packed bytea GENERATED ALWAYS AS ({}) STORED").format(
            energy_table(catalogue, tier), packed()
        )


def packed() -> Composed:
    """The columns of PACKED of a row as one bytea."""
    parts = [
        SQL("{}(coalesce({}, {}))").format(
            SQL(_SEND[kind]), Identifier(name), SQL("'-infinity'" if kind == "timestamptz" else "0")
        )
        for name, kind in PACKED
    ]
    return SQL(" || ").join(parts)
