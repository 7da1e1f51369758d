"""The statements that read what energy is summed up from: rows of the energy tiers, and raw readings. Pure.

A bucket of a tier counts only if no change is logged for it (`telemetry.changes`). Spans with logged changes are read
from the next finer tier, down to raw readings for quarters of an hour. So the tiers may be behind without a wrong sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from core.catalogue import CATALOGUE
from history_app.energy.rows import COLUMNS, TIMES
from telemetry.catalogue import Metric
from telemetry.changes import changes_table
from telemetry.ddl import finite, table_of
from telemetry.energy_tiers import DAY, ENERGY_TIERS, HOUR, QUARTER, EnergyTier, energy_metrics, energy_table
from telemetry.floor import floor_of

METRICS = tuple(metric for metric in energy_metrics(CATALOGUE) if metric.role)
COUNTERS = tuple(metric.name for metric in METRICS if metric.is_counter)
# Rows that may be needed before the window: the reach of a reading depends on the two before it.
BEFORE = 3
RAW, RAW_BEFORE, RAW_AFTER = range(3)
_TIME, _DEVICE = Identifier(CATALOGUE.time), Identifier(CATALOGUE.device)


@lru_cache(maxsize=1)
def spans_statement() -> bytes:
    """What must be read from raw readings: rows of which (RAW, RAW_BEFORE or RAW_AFTER), low and high, in order.

    RAW lies in the window; the others are logged changes before and after it. Parameters: `history_app.energy.fetch`.
    """
    return (
        SQL(
            "{plan} SELECT which, lower(span), upper(span) FROM used CROSS JOIN LATERAL"
            " (SELECT {raw}, tstzmultirange(tstzrange(%(low)s, %(high)s)) - (quarters - dirty)"
            " UNION ALL SELECT {before}, dirty * tstzmultirange(tstzrange(NULL, %(low)s))"
            " UNION ALL SELECT {after}, dirty * tstzmultirange(tstzrange(%(high)s, NULL))) AS part(which, spans)"
            " CROSS JOIN LATERAL unnest(spans) AS span ORDER BY 1, 2"
        )
        .format(plan=_plan(), raw=Literal(RAW), before=Literal(RAW_BEFORE), after=Literal(RAW_AFTER))
        .as_bytes()
    )


@lru_cache(maxsize=1)
def rows_statement() -> bytes:
    """Rows of the tiers, by metric: its name, then a column per name in COLUMNS, in time order.

    Those of the window, the last BEFORE before it, and for counters the first after it.
    """
    parts = [_rows_in(tier, spans) for tier, spans in ((DAY, "by_day"), (HOUR, "by_hour"), (QUARTER, "by_quarter"))]
    parts.append(_rows_beside("%(metrics)s", "t.bucket < %(low)s", "DESC", BEFORE))
    if COUNTERS:
        parts.append(_rows_beside("%(counters)s", "t.bucket >= %(high)s", "", 1))
    return (
        SQL("{plan} SELECT metric, {columns} FROM ({parts}) AS found GROUP BY metric")
        .format(
            plan=_plan(),
            columns=SQL(", ").join(SQL("array_agg({0} ORDER BY first_1)").format(Identifier(name)) for name in COLUMNS),
            parts=SQL(" UNION ALL ").join(parts),
        )
        .as_bytes()
    )


@lru_cache(maxsize=1)
def readings_statement() -> bytes:
    """The non-null readings of %(device)s in [%(low)s, %(high)s): for each of METRICS its times, then its values."""
    metrics = [Identifier(f"value_{index}") for index in range(len(METRICS))]
    columns = [SQL("{} AS {}").format(_value(metric), name) for metric, name in zip(METRICS, metrics, strict=True)]
    arrays = [
        SQL("array_agg(at) FILTER (WHERE {0} IS NOT NULL), array_agg({0}) FILTER (WHERE {0} IS NOT NULL)").format(name)
        for name in metrics
    ]
    return (
        SQL(
            "SELECT {arrays} FROM (SELECT {time} AS at, {columns} FROM {table} WHERE {device} = %(device)s"
            " AND {time} >= %(low)s AND {time} < %(high)s ORDER BY {time}) AS reading"
        )
        .format(
            arrays=SQL(", ").join(arrays),
            columns=SQL(", ").join(columns),
            time=_TIME,
            device=_DEVICE,
            table=table_of(CATALOGUE),
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
            time=_TIME,
            value=_value(metric),
            table=table_of(CATALOGUE),
            device=_DEVICE,
            order=SQL("ASC" if is_after else "DESC"),
        )
        .as_bytes()
    )


def _value(metric: Metric) -> Composed:
    return finite(Identifier(metric.column))


def _multirange(ranges: Composable) -> Composed:
    return SQL("coalesce(range_agg({}), '{{}}'::tstzmultirange)").format(ranges)


def _asked(name: str) -> Composed:
    """The spans in two arrays of parameters, as a multirange."""
    arrays = f"%({name}_lows)s::timestamptz[], %({name}_highs)s::timestamptz[]"
    return SQL("(SELECT {} FROM unnest({}) AS span(low, high)) AS {}").format(
        _multirange(SQL("tstzrange(low, high)")), SQL(arrays), Identifier(name)
    )


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
        " hulls AS (SELECT dirty, {hours} AS dirty_hours, {days} AS dirty_days FROM logged),"
        " asked AS (SELECT {asked}),"
        " used AS MATERIALIZED (SELECT dirty, quarters, days - dirty_days AS by_day,"
        " hours - (days - dirty_days) - dirty_hours AS by_hour, quarters - (hours - dirty_hours) - dirty AS by_quarter"
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
        asked=SQL(", ").join(map(_asked, TIER_SPANS)),
    )


# Names of the parameters that hold the spans for each of ENERGY_TIERS: `quarters_lows`, `quarters_highs`, …
TIER_SPANS: Sequence[str] = ("quarters", "hours", "days")
assert len(TIER_SPANS) == len(ENERGY_TIERS)


def _columns() -> Composed:
    """COLUMNS without nulls: −infinity for a time and 0 for a value that there is not."""
    return SQL(", ").join(
        SQL("coalesce(t.{0}, {1}) AS {0}").format(Identifier(name), SQL("'-infinity'" if name in TIMES else "0"))
        for name in COLUMNS
    )


def _rows_in(tier: EnergyTier, spans: str) -> Composed:
    """Rows in the window. OFFSET 0 keeps the order of the loops: by span, then by index."""
    return SQL(
        "SELECT row.* FROM used CROSS JOIN LATERAL unnest({spans}) AS span"
        " CROSS JOIN LATERAL (SELECT t.metric, {columns} FROM {table} AS t"
        " WHERE t.device_id = %(device)s AND t.metric = ANY (%(metrics)s)"
        " AND t.bucket >= lower(span) AND t.bucket < upper(span) OFFSET 0) AS row"
    ).format(spans=Identifier(spans), columns=_columns(), table=energy_table(CATALOGUE, tier))


def _rows_beside(metrics: str, where: str, order: str, limit: int) -> Composed:
    return SQL(
        "SELECT row.* FROM unnest({metrics}::text[]) AS asked(metric) CROSS JOIN LATERAL (SELECT t.metric, {columns}"
        " FROM {table} AS t WHERE t.device_id = %(device)s AND t.metric = asked.metric AND {where}"
        " AND NOT (SELECT dirty FROM used) @> t.bucket ORDER BY t.bucket {order} LIMIT {limit}) AS row"
    ).format(
        metrics=SQL(metrics),
        columns=_columns(),
        table=energy_table(CATALOGUE, QUARTER),
        where=SQL(where),
        order=SQL(order),
        limit=Literal(limit),
    )
