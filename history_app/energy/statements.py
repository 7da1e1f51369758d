"""The statements that read what energy is summed up from: rows of the energy tiers, and raw readings. Pure.

A bucket of a tier counts only if no change is logged for it (`telemetry.changes`). Spans with logged changes are read
from the next finer tier, down to raw readings for quarters of an hour. So the tiers may be behind without a wrong sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import LiteralString

import numpy as np
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from core.catalogue import CATALOGUE
from history_app.sql.names import DEVICE, TABLE, TIME, never_null
from telemetry.catalogue import Metric
from telemetry.changes import changes_table
from telemetry.ddl import finite
from telemetry.energy_tiers import DAY, ENERGY_TIERS, HOUR, QUARTER, EnergyTier, energy_metrics, energy_table, packed
from telemetry.floor import floor_of

METRICS = tuple(metric for metric in energy_metrics(CATALOGUE) if metric.role)
# Rows that may be needed before the window: the reach of a reading depends on the two before it.
BEFORE = 3
RAW, RAW_BEFORE, RAW_AFTER = range(3)
IS_COUNTER = np.array([metric.is_counter for metric in METRICS], dtype=bool)


@lru_cache(maxsize=1)
def rows_statement() -> bytes:
    """One row for `%(device)s`, of arrays but for the last column; null where there is nothing.

    - Spans that only raw readings answer: RAW, RAW_BEFORE or RAW_AFTER, low, high. RAW lies in the window; the others
      are logged changes before and after it.
    - Raw readings of the RAW spans in [`%(raw_low)s`, `%(raw_high)s`): their times, then the values of each of METRICS,
      NaN for null.
    - Rows of the tiers: the place of the metric in METRICS, then all rows as one bytea (`telemetry.energy_tiers`:
      `packed`). Rows of the window, the last BEFORE before it, and for counters the first after it.

    Parameters: `history_app.energy.fetch`.
    """
    counters = [place for place, metric in enumerate(METRICS) if metric.is_counter]
    parts = [_rows_in(tier, spans) for tier, spans in ((DAY, "by_day"), (HOUR, "by_hour"), (QUARTER, "by_quarter"))]
    parts.append(_rows_beside(range(len(METRICS)), "bucket < %(low)s", "DESC", BEFORE))
    if counters:
        parts.append(_rows_beside(counters, "bucket >= %(high)s", "", 1))
    values = [Identifier(f"value_{index}") for index in range(len(METRICS))]
    return (
        SQL(
            "{plan} SELECT * FROM (SELECT array_agg(which), array_agg(lower(span)), array_agg(upper(span))"
            " FROM used CROSS JOIN LATERAL (VALUES ({raw}, by_raw),"
            " ({before}, dirty * tstzmultirange(tstzrange(NULL, %(low)s))),"
            " ({after}, dirty * tstzmultirange(tstzrange(%(high)s, NULL)))) AS part(which, spans)"
            " CROSS JOIN LATERAL unnest(spans) AS span) AS spans,"
            " (SELECT array_agg(at), {values} FROM ({readings}) AS reading) AS readings,"
            " (SELECT array_agg(place), string_agg(packed, NULL) FROM ({parts}) AS found) AS tiers"
        )
        .format(
            plan=_plan(),
            raw=Literal(RAW),
            before=Literal(RAW_BEFORE),
            after=Literal(RAW_AFTER),
            values=SQL(", ").join(SQL("array_agg({})").format(name) for name in values),
            readings=_readings_in("by_raw", values),
            parts=SQL(" UNION ALL ").join(parts),
        )
        .as_bytes()
    )


def _readings_in(spans: str, names: Sequence[Identifier]) -> Composed:
    """Raw readings. OFFSET 0 keeps the bounds of a span next to the index."""
    values = [
        SQL("{} AS {}").format(never_null(finite(Identifier(metric.column))), name)
        for metric, name in zip(METRICS, names, strict=True)
    ]
    return SQL(
        "SELECT inside.* FROM used CROSS JOIN LATERAL unnest({spans}) AS span CROSS JOIN LATERAL ("
        "SELECT {columns} FROM {table} WHERE {device} = %(device)s AND {time} >= lower(span) AND {time} < upper(span)"
        " AND {time} >= %(raw_low)s AND {time} < %(raw_high)s OFFSET 0) AS inside"
    ).format(
        spans=Identifier(spans),
        columns=SQL(", ").join([SQL("{} AS at").format(TIME), *values]),
        table=TABLE,
        device=DEVICE,
        time=TIME,
    )


@lru_cache(maxsize=1)
def readings_statement() -> bytes:
    """The readings of %(device)s in [%(low)s, %(high)s): their times, then the values of each of METRICS, NaN for null.

    They are in no particular order.
    """
    values = [SQL("array_agg({})").format(never_null(_value(metric))) for metric in METRICS]
    return (
        SQL("SELECT {arrays} FROM {table} WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s")
        .format(
            arrays=SQL(", ").join([SQL("array_agg({})").format(TIME), *values]), time=TIME, device=DEVICE, table=TABLE
        )
        .as_bytes()
    )


@lru_cache(maxsize=64)
def nearest_statement(metric: Metric, *, is_after: bool) -> bytes:
    """The last %(limit)s non-null readings of a metric in [%(low)s, %(high)s), or the first: times, values.

    They are in no particular order. There is no row if there is no reading.
    """
    return (
        SQL(
            "SELECT array_agg(at), array_agg(value) FROM (SELECT {time} AS at, {value} AS value FROM {table}"
            " WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s AND {value} IS NOT NULL"
            " ORDER BY {time} {order} LIMIT %(limit)s) AS reading HAVING count(*) > 0"
        )
        .format(
            time=TIME,
            value=_value(metric),
            table=TABLE,
            device=DEVICE,
            order=SQL("ASC" if is_after else "DESC"),
        )
        .as_bytes()
    )


def _value(metric: Metric) -> Composed:
    return finite(Identifier(metric.column))


def _multirange(ranges: Composable) -> Composed:
    return SQL("coalesce(range_agg({}), '{{}}'::tstzmultirange)").format(ranges)


def _hull(tier: EnergyTier) -> Composed:
    """The buckets of a tier with logged changes."""
    buckets = SQL(
        "tstzrange(time_bucket({0}::interval, lower(span)),"
        " time_bucket({0}::interval, upper(span) - interval '1 microsecond') + {0}::interval)"
    ).format(Literal(tier.interval))
    return SQL("(SELECT {} FROM unnest(dirty) AS span)").format(_multirange(buckets))


def _plan() -> Composed:
    """`used`: what is asked of each tier, without buckets that have logged changes.

    A quarter of an hour that begins below the floor counts as right: nothing rebuilds it, its readings may be gone.
    """
    return SQL(
        "WITH logged AS (SELECT {merged} * tstzmultirange(tstzrange((SELECT CASE WHEN isfinite(at)"
        " THEN time_bucket({quarter}::interval, at + {quarter}::interval - interval '1 microsecond') END"
        " FROM (SELECT {floor}) AS floor(at)), NULL)) AS dirty FROM {changes}"
        " WHERE device_id = %(device)s AND last >= {floor}),"
        " hulls AS MATERIALIZED (SELECT dirty, {hours} AS dirty_hours, {days} AS dirty_days FROM logged),"
        " asked AS MATERIALIZED (SELECT {asked}),"
        " used AS MATERIALIZED (SELECT dirty, quarters, days - dirty_days AS by_day,"
        " hours - (days - dirty_days) - dirty_hours AS by_hour, quarters - (hours - dirty_hours) - dirty AS by_quarter,"
        " tstzmultirange(tstzrange(%(low)s, %(high)s)) - (quarters - dirty) AS by_raw"
        " FROM hulls, asked)"
    ).format(
        merged=_multirange(
            SQL(
                "tstzrange(time_bucket({0}::interval, first), time_bucket({0}::interval, last) + {0}::interval)"
            ).format(Literal(QUARTER.interval))
        ),
        quarter=Literal(QUARTER.interval),
        floor=floor_of(CATALOGUE),
        changes=changes_table(CATALOGUE),
        hours=_hull(HOUR),
        days=_hull(DAY),
        asked=SQL(", ").join(SQL(f"%({name})s::tstzmultirange AS {name}") for name in TIER_SPANS),
    )


# Names of the parameters that say where whole buckets of each of ENERGY_TIERS answer (`history_app.energy.cover`).
TIER_SPANS: Sequence[str] = ("quarters", "hours", "days")
assert len(TIER_SPANS) == len(ENERGY_TIERS)


def _rows_in(tier: EnergyTier, spans: str) -> Composed:
    """Rows in the window. OFFSET 0 keeps the bounds of a span next to the index."""
    return SQL(
        "SELECT asked.place, row.packed FROM used CROSS JOIN LATERAL unnest({spans}) AS span CROSS JOIN {metrics}"
        " CROSS JOIN LATERAL (SELECT {packed} AS packed FROM {table} WHERE device_id = %(device)s"
        " AND metric = asked.metric AND bucket >= lower(span) AND bucket < upper(span) OFFSET 0) AS row"
    ).format(
        spans=Identifier(spans),
        metrics=_asked(range(len(METRICS))),
        packed=packed() if tier is QUARTER else SQL("packed"),
        table=energy_table(CATALOGUE, tier),
    )


def _asked(places: Iterable[int]) -> Composed:
    """The relation `asked`: the metrics at these places of METRICS."""
    rows = [SQL("({}::bigint, {})").format(Literal(place), Literal(METRICS[place].name)) for place in places]
    return SQL("(VALUES {}) AS asked(place, metric)").format(SQL(", ").join(rows))


def _rows_beside(places: Iterable[int], where: LiteralString, order: LiteralString, limit: int) -> Composed:
    return SQL(
        "SELECT asked.place, row.packed FROM {metrics} CROSS JOIN LATERAL (SELECT {packed} AS packed"
        " FROM {table} WHERE device_id = %(device)s AND metric = asked.metric AND {where}"
        " AND NOT (SELECT dirty FROM used) @> bucket ORDER BY bucket {order} LIMIT {limit}) AS row"
    ).format(
        metrics=_asked(places),
        packed=packed(),
        table=energy_table(CATALOGUE, QUARTER),
        where=SQL(where),
        order=SQL(order),
        limit=Literal(limit),
    )
