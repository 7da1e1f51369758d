"""The statements that read rollup tiers. As in `queries`: one statement an answer, catalogue names only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.sql import SQL, Composable, Composed, Identifier

from core.catalogue import CATALOGUE
from history_app.planning.plan import KnownTier, Level, Plan
from history_app.planning.window import uniform_length
from history_app.sql.devices import fetch_each
from history_app.sql.readings import Columns, bucket_columns, in_columns, microseconds, moment, newest_of, summed
from history_app.store.pool import Connection
from telemetry.catalogue import Metric
from telemetry.ddl import table_of
from telemetry.tiers import BUCKET, COUNT, DEVICE, NEWEST, metric_column, state_table, tiers_of
from telemetry.times import SECOND_US

_BUCKET, _DEVICE, _COUNT = Identifier(BUCKET), Identifier(DEVICE), Identifier(COUNT)
# Of each aggregate: the parts of a tier it takes, and how they make it, in one row and over several.
_PARTS = {"avg": ("sum", "count"), "min": ("min",), "max": ("max",), "count": ("count",)}
_OF_ONE = {"avg": "{} / nullif({}, 0)", "min": "{}", "max": "{}", "count": "{}"}
_OF_SEVERAL = {
    # The sum of bigint is numeric, which is slow to divide by; a double holds every count exactly.
    "avg": "sum({}) / nullif(sum({}::double precision), 0)",
    "min": "min({})",
    "max": "max({})",
    "count": "sum({})::bigint",
}


async def fetch_tiers(connection: Connection) -> tuple[KnownTier, ...]:
    """The tiers that exist and may be read, finest first."""
    cursor = connection.cursor(binary=True)
    try:
        await cursor.execute(_tiers_statement(), {"schema": CATALOGUE.schema})
    except psycopg.errors.UndefinedTable:
        return ()
    found = {name: (since, frozenset(columns)) for name, since, columns in await cursor.fetchall()}
    return tuple(KnownTier(tier, *found[tier.table]) for tier in tiers_of(CATALOGUE) if tier.table in found)


async def fetch_oldest(connection: Connection, device_id: str, tiers: Sequence[KnownTier]) -> dict[str, int | None]:
    """µs of the oldest row of a device in the raw table and in each tier, by table."""
    text = _oldest_statement(tuple(known.tier.table for known in tiers))
    (row,) = await fetch_each(connection, [device_id], text, {})
    return dict(zip([CATALOGUE.table, *(known.tier.table for known in tiers)], map(microseconds, row), strict=True))


async def fetch_tier_buckets(
    connection: Connection,
    device_ids: Sequence[str],
    plan: Plan,
    metrics: Sequence[Metric],
    aggs: Sequence[str],
    *,
    live: bool,
) -> list[Columns]:
    """The buckets of the plan's window, for each device, made of the rows of its levels: the same as from raw rows."""
    window, levels = plan.window, plan.levels
    bucket_edges = window.edges
    length = uniform_length(bucket_edges)
    parameters: dict[str, Any] = {"low": moment(window.low), "high": moment(window.high)}
    if length is not None:
        parameters |= {"low_s": window.low // SECOND_US, "length_s": length // SECOND_US}
    else:
        parameters["edges"] = [moment(edge) for edge in bucket_edges]
    for index, level in enumerate(levels):
        if level.skip:
            parameters[f"skip{index}"] = [moment(start) for start in level.skip]
        if level.parts is not None:
            parameters[f"parts{index}"] = [moment(start) for start in level.parts]
    text = _statement(tuple(metrics), tuple(aggs), _shape(levels), uniform=length is not None,
                      exact=len(levels) == 1 and length == levels[0].length,
                      newest_in=plan.newest_in, live=live)  # fmt: skip
    rows = await fetch_each(connection, device_ids, text, parameters)
    return [bucket_columns(row, bucket_edges) for row in rows]


_Shape = tuple[tuple[str, bool, int], ...]


def _shape(levels: Sequence[Level]) -> _Shape:
    """What of the levels is in the text of a statement: table, whether rows are skipped, length of the parts."""
    return tuple((level.table, bool(level.skip), level.part_length) for level in levels)


@lru_cache(maxsize=512)
def _statement(
    metrics: tuple[Metric, ...],
    aggs: tuple[str, ...],
    shape: _Shape,
    *,
    uniform: bool,
    exact: bool,
    newest_in: str | None,
    live: bool,
) -> bytes:
    """`exact`: the rows of the tier are the buckets, so nothing is grouped."""
    made = [
        SQL((_OF_ONE if exact else _OF_SEVERAL)[agg]).format(*(metric_column(metric, part) for part in _PARTS[agg]))
        for metric in metrics
        for agg in aggs
    ]
    names = [Identifier(f"v{index}") for index in range(len(made))]
    parts = dict.fromkeys((metric, part) for metric in metrics for agg in aggs for part in _PARTS[agg])
    read = SQL(", ").join([_BUCKET, _COUNT, *(metric_column(metric, part) for metric, part in parts)])
    inner = SQL("SELECT {number} AS number, {readings} AS readings{made} FROM ({rows}) AS rolled {order}").format(
        number=_number(uniform=uniform),
        readings=_COUNT if exact else SQL("sum({})::bigint").format(_COUNT),
        made=Composed([SQL(", {} AS {}").format(column, name) for column, name in zip(made, names, strict=True)]),
        rows=SQL(" UNION ALL ").join(_rows(index, level, read) for index, level in enumerate(shape)),
        order=SQL("ORDER BY {}").format(_BUCKET) if exact else SQL("GROUP BY 1 ORDER BY 1"),
    )
    return in_columns([SQL("number"), SQL("readings"), *summed(names, aggs)], inner, _newest(newest_in, live=live))


def _newest(table: str | None, *, live: bool) -> Composable:
    """As `queries.newest_of`, in a tier: the window ends on an edge of its buckets. Whatever the raw table grows to,
    the statement does not know it then."""
    if table is None:
        return newest_of(live=live)
    return SQL("SELECT {newest} FROM {table} WHERE {device} = %(device)s{until} ORDER BY {bucket} DESC LIMIT 1").format(
        newest=Identifier(NEWEST),
        table=Identifier(CATALOGUE.schema, table),
        device=_DEVICE,
        until=SQL(" AND {} < %(high)s").format(_BUCKET) if live else SQL(""),
        bucket=_BUCKET,
    )


def _number(*, uniform: bool) -> Composable:
    """Which bucket of the window a tier's bucket lies in. Tiers begin on whole seconds: doubles hold them exactly."""
    if uniform:
        return SQL("((date_part('epoch', {})::bigint - %(low_s)s) / %(length_s)s)::int").format(_BUCKET)
    return SQL("width_bucket({}, %(edges)s::timestamptz[]) - 1").format(_BUCKET)


def _rows(index: int, level: tuple[str, bool, int], read: Composable) -> Composed:
    """One level's rows. OFFSET 0 keeps a part's bounds inside, where an index, or a view, can use them."""
    table, skips, part_length = level
    rows = SQL(
        "SELECT {read} FROM {table} WHERE {device} = %(device)s AND {bucket} >= %(low)s AND {bucket} < %(high)s"
    ).format(read=read, table=Identifier(CATALOGUE.schema, table), device=_DEVICE, bucket=_BUCKET)
    if skips:
        rows += SQL(" AND {} <> ALL (%({})s::timestamptz[])").format(_BUCKET, SQL(f"skip{index}"))
    if not part_length:
        return rows
    within = SQL(" AND {bucket} >= part AND {bucket} < part + {length} OFFSET 0").format(
        bucket=_BUCKET, length=sql.Literal(f"{part_length // SECOND_US} seconds")
    )
    return SQL("SELECT inside.* FROM unnest(%({})s::timestamptz[]) AS part CROSS JOIN LATERAL ({}) AS inside").format(
        SQL(f"parts{index}"), rows + within
    )


@lru_cache(maxsize=1)
def _tiers_statement() -> bytes:
    """Name, µs of complete_since cut to the years that a window can have, columns."""
    relation = SQL("to_regclass(format('%%I.%%I', %(schema)s::text, tier))")
    return (
        SQL(
            "SELECT tier, (extract(epoch FROM greatest(least(complete_since, '2300-01-01Z'), '1900-01-01Z')) * 1000000)"
            "::bigint, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = {relation} AND attnum > 0"
            " AND NOT attisdropped) FROM {state} WHERE has_table_privilege({relation}, 'SELECT')"
        )
        .format(relation=relation, state=state_table(CATALOGUE))
        .as_bytes()
    )


@lru_cache(maxsize=16)
def _oldest_statement(tiers: tuple[str, ...]) -> bytes:
    columns = [(table_of(CATALOGUE), Identifier(CATALOGUE.time), Identifier(CATALOGUE.device))]
    columns += [(Identifier(CATALOGUE.schema, tier), _BUCKET, _DEVICE) for tier in tiers]
    probes = [
        SQL("(SELECT {time} FROM {table} WHERE {device} = %(device)s ORDER BY {time} LIMIT 1)").format(
            table=table, time=time, device=device
        )
        for table, time, device in columns
    ]
    return SQL("SELECT {}").format(SQL(", ").join(probes)).as_bytes()
