"""The SQL of the rollup. Pure: built once from the catalogue, with values as parameters.

A slice of work is one REPEATABLE READ transaction: `lock`, `take`, the steps, `put_back`, `chunks_changed`. Log rows
and readings are then of one snapshot: the rows that `take` deletes are exactly those whose readings the steps see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from rollup.energy import energy_statements
from telemetry.catalogue import Catalogue
from telemetry.changes import changes_table
from telemetry.ddl import finite, regclass, table_of
from telemetry.floor import CAUGHT_UP, FLOOR, chunks_table, floor_of, state_table
from telemetry.tiers import (
    BUCKET,
    COARSE_SECONDS,
    COUNT,
    DEVICE,
    Tier,
    names_of,
    rollup_columns,
    rollup_tiers,
    tier_table,
)

FINE_SECONDS = 60
_MOST_GROUPS = 256
_TOUCHED = SQL(
    "(SELECT device_id, to_timestamp(low) AS low, to_timestamp(high) AS high"
    " FROM unnest(%(devices)s::text[], %(lows)s::bigint[], %(highs)s::bigint[]) AS t (device_id, low, high)) AS touched"
)
_QUARTERS = SQL(
    "(SELECT touched.device_id, bucket FROM {}, generate_series(low, high - interval '1 us', interval '{} s')"
    " AS bucket) AS quarters"
).format(_TOUCHED, SQL(str(COARSE_SECONDS)))
_WITHIN = (SQL("to_timestamp(%(low)s)"), SQL("to_timestamp(%(high)s)"))


@dataclass(frozen=True, slots=True)
class TierStep:
    """Statements that rebuild the touched buckets of one tier from the next finer one, or from raw readings.

    They take the parameters of `spans.parameters`: spans of whole buckets of `seconds`.
    """

    seconds: int
    statements: tuple[Composed, ...]


def fine_steps(catalogue: Catalogue) -> list[TierStep]:
    """The tiers of stage 0, finest first. The last statement of the first step counts the readings."""
    return [step for tier, step in _tier_steps(catalogue) if tier.stage == 0]


def coarse_steps(catalogue: Catalogue) -> list[TierStep]:
    """The tiers of stage 1, finest first, then the energy tiers."""
    steps = [step for tier, step in _tier_steps(catalogue) if tier.stage == 1]
    return [*steps, TierStep(COARSE_SECONDS, tuple(energy_statements(catalogue, _QUARTERS, _WITHIN)))]


def _tier_steps(catalogue: Catalogue) -> Iterator[tuple[Tier, TierStep]]:
    tiers = rollup_tiers(catalogue)
    yield tiers[0], TierStep(tiers[0].seconds, (_delete(catalogue, tiers[0]), _insert_from_raw(catalogue, tiers[0])))
    for finer, tier in pairwise(tiers):
        yield tier, TierStep(tier.seconds, (_delete(catalogue, tier), _insert_from_tier(catalogue, finer, tier)))


def _delete(catalogue: Catalogue, tier: Tier) -> Composed:
    return SQL(
        "DELETE FROM {tier} AS t USING {touched} WHERE t.{d} = touched.device_id"
        " AND t.{b} >= touched.low AND t.{b} < touched.high"
    ).format(tier=tier_table(catalogue, tier), touched=_TOUCHED, d=Identifier(DEVICE), b=Identifier(BUCKET))


def _insert_from_raw(catalogue: Catalogue, tier: Tier) -> Composed:
    """OFFSET 0 keeps the inner query apart: each value is tested for being finite once, not once per aggregate."""
    columns = rollup_columns(catalogue)
    readings = SQL(
        "SELECT {time}, {values} FROM {table} WHERE {device} = touched.device_id"
        " AND {time} >= touched.low AND {time} < touched.high"
        " AND {time} >= to_timestamp(%(low)s) AND {time} < to_timestamp(%(high)s) OFFSET 0"
    ).format(
        time=Identifier(catalogue.time),
        values=SQL(", ").join(
            SQL("{} AS {}").format(finite(Identifier(metric.column)), Identifier(metric.column))
            for metric in catalogue.metrics
        ),
        table=table_of(catalogue),
        device=Identifier(catalogue.device),
    )
    made = SQL("SELECT {bucket} AS {b}, {columns} FROM ({readings}) AS readings GROUP BY 1").format(
        bucket=_bucket(tier, Identifier(catalogue.time)),
        b=Identifier(BUCKET),
        columns=SQL(", ").join(SQL("{} AS {}").format(column.raw, Identifier(column.name)) for column in columns),
        readings=readings,
    )
    return SQL("WITH made AS ({} RETURNING {count}) SELECT coalesce(sum({count}), 0)::bigint FROM made").format(
        _insert(catalogue, tier, made), count=Identifier(COUNT)
    )


def _insert_from_tier(catalogue: Catalogue, finer: Tier, tier: Tier) -> Composed:
    columns = rollup_columns(catalogue)
    made = SQL(
        "SELECT {bucket} AS {b}, {columns} FROM {finer} WHERE {d} = touched.device_id"
        " AND {b} >= touched.low AND {b} < touched.high GROUP BY 1"
    ).format(
        bucket=_bucket(tier, Identifier(BUCKET)),
        b=Identifier(BUCKET),
        columns=SQL(", ").join(SQL("{} AS {}").format(column.merged, Identifier(column.name)) for column in columns),
        finer=tier_table(catalogue, finer),
        d=Identifier(DEVICE),
    )
    return _insert(catalogue, tier, made)


def _insert(catalogue: Catalogue, tier: Tier, made: Composable) -> Composed:
    columns = rollup_columns(catalogue)
    listed = [SQL("made.") + Identifier(BUCKET), SQL("touched.device_id")]
    listed += [SQL("made.") + Identifier(column.name) for column in columns]
    return SQL("INSERT INTO {} ({}) SELECT {} FROM {} CROSS JOIN LATERAL ({}) AS made").format(
        tier_table(catalogue, tier), names_of(columns), SQL(", ").join(listed), _TOUCHED, made
    )


def _bucket(tier: Tier, time: Composable) -> Composed:
    return SQL("time_bucket({}::interval, {})").format(Literal(tier.interval), time)


def plan(catalogue: Catalogue) -> Composed:
    """Due work, newest day first: `(day, shard, devices, lengths, total, quarter, read_at)`, the day in seconds.

    A shard is a partition of the log, named by its oid: several rollups divide the devices by it. `lengths` are the
    seconds that each device's rows span; `total` counts days of devices, also those beyond the limit; `quarter` is the
    start of the current quarter of an hour in seconds. One row with nulls where nothing is due. A row is due when the
    minute, or the quarter of an hour, in which it ends has been over for %(settle)s.
    """
    return SQL("""
WITH due AS (
  SELECT time_bucket('1 day', last) AS day, tableoid::bigint AS shard, device_id,
         sum(date_part('epoch', last - first)) + 1 AS length
    FROM {log}
    WHERE stage = 0 AND last < date_trunc('minute', now() - %(settle)s::interval)
       OR stage = 1 AND last < {quarter}
    GROUP BY 1, 2, 3
), grouped AS (
  SELECT day, shard, array_agg(device_id ORDER BY device_id) AS devices,
         array_agg(length ORDER BY device_id) AS lengths, sum(count(*)) OVER ()::bigint AS total
    FROM due GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT {most}
)
SELECT date_part('epoch', day)::bigint, shard, devices, lengths, total, date_part('epoch', {quarter})::bigint, now()
  FROM (SELECT) AS one LEFT JOIN grouped ON true""").format(
        log=changes_table(catalogue),
        quarter=SQL("time_bucket('15 minutes', now() - %(settle)s::interval)"),
        most=Literal(_MOST_GROUPS),
    )


def lock(catalogue: Catalogue) -> Composed:
    """The first statement of a slice; it takes no snapshot. TRUNCATE waits for it, or empties all before it."""
    return SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(table_of(catalogue))


def take(catalogue: Catalogue) -> Composed:
    """Delete the due rows of a slice: `(seconds, device_id, low, high)`, ordered by device and low.

    With seconds 60: spans of whole minutes whose readings changed. With 900: spans of whole quarters of an hour that
    the coarse tiers lack. With 0: `low` counts the rows that lie below the floor, which change no tier.
    """
    return SQL("""
WITH taken AS (
  DELETE FROM {log}
    WHERE device_id = ANY (%(devices)s) AND last >= to_timestamp(%(day)s) AND last < to_timestamp(%(day)s + 86400)
      AND (stage = 1 OR last < date_trunc('minute', now() - %(settle)s::interval))
    RETURNING device_id, first, last, stage
), floor AS (
  SELECT {floor} AS floor
), kept AS (
  SELECT device_id, greatest(first, floor) AS first, last, stage FROM taken, floor WHERE last >= floor
), spans AS (
  SELECT {fine} AS seconds, device_id, unnest({fine_spans}) AS span FROM kept WHERE stage = 0 GROUP BY 2
  UNION ALL
  SELECT {coarse}, device_id, unnest({coarse_spans}) FROM kept GROUP BY 2
)
SELECT seconds, device_id, date_part('epoch', lower(span))::bigint AS low, date_part('epoch', upper(span))::bigint
  FROM spans
UNION ALL
SELECT 0, '', count(*), 0 FROM taken, floor WHERE last < floor AND stage = 0
ORDER BY device_id, low""").format(
        log=changes_table(catalogue),
        floor=floor_of(catalogue),
        fine=Literal(FINE_SECONDS),
        fine_spans=_whole(FINE_SECONDS),
        coarse=Literal(COARSE_SECONDS),
        coarse_spans=_whole(COARSE_SECONDS),
    )


def _whole(seconds: int) -> Composed:
    """The buckets that the log rows touch, as a multirange: adjacent ones are merged."""
    return SQL("range_agg(tstzrange(time_bucket({length}, first), time_bucket({length}, last) + {length}))").format(
        length=SQL("{}::interval").format(Literal(f"{seconds} seconds"))
    )


def put_back(catalogue: Catalogue) -> Composed:
    """Log again, for the coarse tiers, the current quarters of an hour: they are rebuilt once, when they are over."""
    return SQL(
        "INSERT INTO {} (device_id, first, last, stage)"
        " SELECT device_id, bucket, bucket + interval '{} s' - interval '1 us', 1 FROM {}"
    ).format(changes_table(catalogue), SQL(str(COARSE_SECONDS)), _QUARTERS)


def chunks_changed(catalogue: Catalogue) -> Composed:
    """Whether a chunk that was seen has vanished, or one exists that was not seen. To be asked after reading.

    A dropped chunk is missing at once, whatever the snapshot. One that has been read cannot be dropped any more.
    """
    return SQL(
        "SELECT EXISTS (SELECT FROM {chunks} WHERE to_regclass(name) IS NULL) OR EXISTS (SELECT FROM pg_inherits"
        " WHERE inhparent = {table} AND inhrelid NOT IN (SELECT coalesce(to_regclass(name)::oid, 0) FROM {chunks}))"
    ).format(chunks=chunks_table(catalogue), table=regclass(catalogue, catalogue.table))


def chunk_statements(catalogue: Catalogue) -> list[Composed]:
    """Raise the floor to the end of the chunks that have vanished, then remember all that there are. One transaction.

    A chunk that was merged into another one has not vanished: the other one's range has grown over it. The floor is
    raised to a whole quarter of an hour, so that no bucket that is built from raw readings crosses it, but not beyond
    the present: what is dropped today can be written again tomorrow.
    """
    current = SQL(
        "(SELECT quote_ident(chunk_schema) || '.' || quote_ident(chunk_name) AS name, range_start, range_end"
        " FROM timescaledb_information.chunks WHERE hypertable_schema = {} AND hypertable_name = {}) AS current"
    ).format(Literal(catalogue.schema), Literal(catalogue.table))
    raise_floor = SQL("""
WITH vanished AS (DELETE FROM {chunks} WHERE to_regclass(name) IS NULL RETURNING first, last)
INSERT INTO {state} AS state (key, value)
  SELECT {key}, value FROM (
    SELECT least(time_bucket('15 minutes', max(last) + interval '15 minutes' - interval '1 us'),
                 time_bucket('15 minutes', now())) AS value
      FROM vanished WHERE NOT EXISTS (
        SELECT FROM {chunks} AS known JOIN {current} USING (name)
          WHERE range_start <= vanished.first AND range_end >= vanished.last
            AND NOT (known.first <= vanished.first AND known.last >= vanished.last))
      HAVING count(*) > 0
  ) AS raised
  ON CONFLICT (key) DO UPDATE SET value = greatest(state.value, excluded.value)""").format(
        chunks=chunks_table(catalogue), state=state_table(catalogue), key=Literal(FLOOR), current=current
    )
    remember = SQL(
        "INSERT INTO {chunks} (name, first, last) SELECT name, range_start, range_end FROM {current}"
        " ON CONFLICT (name) DO UPDATE SET first = excluded.first, last = excluded.last"
    ).format(chunks=chunks_table(catalogue), current=current)
    return [raise_floor, remember]


def caught_up(catalogue: Catalogue) -> Composed:
    """Record that all that was due at %(read_at)s is in the tiers."""
    return SQL(
        "INSERT INTO {} AS state VALUES ({}, %(read_at)s)"
        " ON CONFLICT (key) DO UPDATE SET value = greatest(state.value, excluded.value)"
    ).format(state_table(catalogue), Literal(CAUGHT_UP))
