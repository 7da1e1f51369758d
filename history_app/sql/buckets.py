"""The statement that reads a window from rollup tiers, and from raw readings where the tiers are not correct yet.

Its raw part is bounded: only readings from `recent` on. That keeps old chunks of the hypertable out of the plan, and it
is enough while the rollup keeps up. The statement says when it was not (`is_short`); then it runs again without bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from core.catalogue import CATALOGUE
from history_app.planning.plan import Plan
from history_app.planning.window import EARLIEST_US
from history_app.sql.devices import fetch_each
from history_app.sql.levels import LOG, Shape, span_tables
from history_app.sql.names import DEVICE, TABLE, TIME, bucket_start, in_arrays, never_null_values, newest_rows
from history_app.store.arrays import Columns, bucket_columns
from history_app.store.connection import Connection
from telemetry.catalogue import Metric
from telemetry.ddl import finite
from telemetry.floor import floor_of
from telemetry.tiers import BUCKET, COUNT, NEWEST, Tier, metric_column
from telemetry.tiers import DEVICE as TIER_DEVICE
from telemetry.times import SECOND_US, datetime_from_us

# The rollup rebuilds the finest tier within a minute or two, and the others within a quarter of an hour.
RECENT_US = 3_600 * SECOND_US
_BUCKET, _TIER_DEVICE, _COUNT = Identifier(BUCKET), Identifier(TIER_DEVICE), Identifier(COUNT)
# For each aggregate: the parts of a tier that it needs, and the expression over one row and over several.
_PARTS = {"avg": ("sum", "count"), "min": ("min",), "max": ("max",), "count": ("count",)}
# A sum is null where its count is 0.
_OF_ONE = {"avg": "{} / {}", "min": "{}", "max": "{}", "count": "{}"}
_OF_SEVERAL = {
    # The sum of bigint is numeric, which is slow to divide by; a double holds every count exactly.
    "avg": "sum({}) / sum({}::double precision)",
    "min": "min({})",
    "max": "max({})",
    "count": "sum({})::bigint",
}
_OF_RAW = {"count": "count({})", "sum": "sum({})", "min": "min({})", "max": "max({})"}


async def fetch_tier_buckets(
    connection: Connection,
    device_ids: Sequence[str],
    plan: Plan,
    metrics: tuple[Metric, ...],
    aggs: tuple[str, ...],
    *,
    now: int,
) -> list[Columns]:
    """The buckets of the plan's window for each device, in one snapshot."""
    window, levels = plan.window, plan.levels
    parameters: dict[str, Any] = {
        "low": datetime_from_us(window.low),
        "high": datetime_from_us(window.high),
        "before": datetime_from_us(now),
    }
    if window.length is not None:
        parameters["length"] = timedelta(microseconds=window.length)
    else:
        parameters["edges"] = [datetime_from_us(edge) for edge in window.edges]
    for index, level in enumerate(levels):
        if level.cut:
            parameters[f"cut{index}"] = [datetime_from_us(start) for start in level.cut]
    text = _statement(
        metrics,
        aggs,
        tuple((level.tier, bool(level.cut)) for level in levels),
        is_uniform=window.length is not None,
        is_exact=window.length == levels[0].tier.seconds * SECOND_US and not levels[0].cut,
    )
    finest = levels[-1].tier.seconds * SECOND_US
    for recent in ((now - RECENT_US) // finest * finest, EARLIEST_US):
        raw_low = min(max(window.low, recent), window.high)
        bounds = {"recent": datetime_from_us(recent), "raw_low": datetime_from_us(raw_low)}
        rows = await fetch_each(connection, device_ids, text, parameters | bounds)
        if not any(is_short for is_short, *_ in rows):
            break
    return [bucket_columns(row) for _, *row in rows]


@lru_cache(maxsize=512)
def _statement(
    metrics: tuple[Metric, ...],
    aggs: tuple[str, ...],
    shape: Shape,
    *,
    is_uniform: bool,
    is_exact: bool,
) -> bytes:
    """`is_exact`: the rows of the first level are buckets of the window, so only finer rows are grouped."""
    parts = list(dict.fromkeys((metric, part) for metric in metrics for agg in aggs for part in _PARTS[agg]))
    values = [Identifier(f"v{index}") for index in range(len(metrics) * len(aggs))]
    grouped = SQL("SELECT start, sum({count})::bigint AS readings{made} FROM ({rows}) AS finer GROUP BY start")
    length = SQL("%(length)s::interval") if is_uniform else None
    start = bucket_start(_BUCKET, length)
    rows = [
        _tier_rows(index, tier, parts, _BUCKET if is_exact and index == 0 else start)
        for index, (tier, _) in enumerate(shape)
    ]
    rows.append(_raw_rows(parts, bucket_start(TIME, length)))
    several = _made(metrics, aggs, _OF_SEVERAL, values)
    union = SQL(" UNION ALL ")
    if is_exact:
        inner = SQL("SELECT start, {count} AS readings{made} FROM ({first}) AS whole UNION ALL {finer}").format(
            count=_COUNT,
            made=_made(metrics, aggs, _OF_ONE, values),
            first=rows[0],
            finer=grouped.format(count=_COUNT, made=several, rows=union.join(rows[1:])),
        )
    else:
        inner = grouped.format(count=_COUNT, made=several, rows=union.join(rows))
    arrays = [SQL("start"), SQL("readings"), *never_null_values(values, aggs)]
    statement = SQL(
        "WITH {spans}, {newest} SELECT {is_short}, (SELECT coalesce(raw_newest, tier_newest) FROM newest), {arrays}"
        " FROM ({inner}) AS found"
    ).format(
        spans=span_tables(shape),
        newest=_newest(shape[-1][0]),
        is_short=_is_short(),
        arrays=in_arrays(arrays),
        inner=inner,
    )
    return statement.as_bytes()


def _made(
    metrics: Sequence[Metric], aggs: Sequence[str], expressions: dict[str, str], names: Sequence[Composable]
) -> Composed:
    made = [
        SQL(expressions[agg]).format(*(metric_column(metric, part) for part in _PARTS[agg]))
        for metric in metrics
        for agg in aggs
    ]
    return Composed([SQL(", {} AS {}").format(value, name) for value, name in zip(made, names, strict=True)])


def _tier_rows(index: int, tier: Tier, parts: Sequence[tuple[Metric, str]], start: Composable) -> Composed:
    """The rows of a level. OFFSET 0 keeps the bounds of a span next to the index."""
    names = SQL(", ").join([_COUNT, *(metric_column(metric, part) for metric, part in parts)])
    return SQL(
        "SELECT {start} AS start, {names} FROM spans CROSS JOIN LATERAL unnest({span}) AS span CROSS JOIN LATERAL ("
        "SELECT {bucket}, {names} FROM {table} WHERE {device} = %(device)s AND {bucket} >= lower(span)"
        " AND {bucket} < upper(span) OFFSET 0) AS inside"
    ).format(
        start=start,
        names=names,
        span=Identifier(f"span{index}"),
        bucket=_BUCKET,
        table=Identifier(CATALOGUE.schema, tier.table),
        device=_TIER_DEVICE,
    )


def _raw_rows(parts: Sequence[tuple[Metric, str]], start: Composable) -> Composed:
    """The readings that no tier holds yet, as rows of a tier: one for each bucket of the window."""
    metrics = list(dict.fromkeys(metric for metric, _ in parts))
    made = [
        SQL("{} AS {}").format(
            SQL(_OF_RAW[part]).format(Identifier(metric.column)),
            metric_column(metric, part),
        )
        for metric, part in parts
    ]
    columns = [SQL("{} AS {}").format(finite(Identifier(m.column)), Identifier(m.column)) for m in metrics]
    return SQL(
        "SELECT {start} AS start, count(*) AS {count}, {made} FROM spans CROSS JOIN LATERAL unnest(span_raw) AS span"
        " CROSS JOIN LATERAL (SELECT {columns} FROM {table} WHERE {device} = %(device)s AND {time} >= lower(span)"
        " AND {time} < upper(span) AND {time} >= %(raw_low)s AND {time} < %(high)s OFFSET 0) AS inside GROUP BY 1"
    ).format(
        start=start,
        count=_COUNT,
        made=SQL(", ").join(made),
        columns=SQL(", ").join([TIME, *columns]),
        table=TABLE,
        device=DEVICE,
        time=TIME,
    )


def _newest(finest: Tier) -> Composed:
    """The table expression `newest`: the newest reading from `recent` on; without one, the newest in the finest tier.

    A reading ahead of the clock is after the cursor: the live stream delivers it when its time has come.
    """
    raw = newest_rows([TIME], where=" AND {time} >= %(recent)s AND {time} < %(before)s")
    tier = SQL(
        "SELECT {newest} FROM {table} AS rolled WHERE {device} = %(device)s AND {bucket} < %(recent)s"
        " AND NOT EXISTS (SELECT FROM {log} WHERE device_id = %(device)s AND stage = 0 AND last >= {bucket}"
        " AND first < {bucket} + {length}::interval AND last >= {floor}) ORDER BY {bucket} DESC LIMIT 1"
    ).format(
        newest=Identifier(NEWEST),
        table=Identifier(CATALOGUE.schema, finest.table),
        device=_TIER_DEVICE,
        bucket=SQL("rolled.{}").format(_BUCKET),
        log=LOG,
        length=Literal(finest.interval),
        floor=floor_of(CATALOGUE),
    )
    return SQL(
        "newest AS MATERIALIZED (SELECT raw_newest, CASE WHEN raw_newest IS NULL THEN ({tier}) END AS tier_newest"
        " FROM (SELECT ({raw}) AS raw_newest OFFSET 0) AS recently)"
    ).format(tier=tier, raw=raw)


def _is_short() -> Composed:
    """Whether readings from before the bound of the raw part are needed: for a bucket, or for the newest reading."""
    return SQL(
        "(SELECT coalesce(lower(span_raw) < %(raw_low)s, false) FROM spans) OR (SELECT raw_newest IS NULL AND EXISTS ("
        "SELECT FROM {log} WHERE device_id = %(device)s AND stage = 0 AND first < %(recent)s AND last >= {floor}"
        " AND last >= coalesce(tier_newest, '-infinity'::timestamptz)) FROM newest)"
    ).format(log=LOG, floor=floor_of(CATALOGUE))
