"""Rollup tiers as continuous aggregates, for TimescaleDB's Timescale edition. Pure: builds SQL.

Each is made of the one before it, and real-time: what is not materialized yet is aggregated when it is asked for, so
the bucket in progress is always current. A reading that comes late, into what is materialized, counts from the next
refresh on. Refreshing looks back over everything that its source keeps: a late reading ends up right however late.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.ddl import regclass, table_of
from telemetry.tiers import BUCKET, DEVICE, Tier, columns_of, tier_table, tiers_of

# A refresh with nothing to do is cheap; this is how long a late reading may take to count.
_MOST_S = 900
# The first version that refreshes compressed buckets: https://github.com/timescale/timescaledb/pull/7656
_COMPRESSION_FROM = "{2,18,1}"


def cagg_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Views and policies, as statements of PL/pgSQL. Each is safe to repeat."""
    tiers = tiers_of(catalogue)
    yield _view(catalogue, tiers[0], None)
    for finer, tier in pairwise(tiers):
        yield _view(catalogue, tier, finer)
    source = "raw"
    for tier in tiers:
        yield _refresh_policy(catalogue, tier, catalogue.keep.get(source))
        source = tier.name
        yield _compression(catalogue, tier)
    for name, relation in (("raw", catalogue.table), *((tier.name, tier.table) for tier in tiers)):
        if name in catalogue.keep:
            yield _perform(
                "add_retention_policy", regclass(catalogue, relation), drop_after=_interval(catalogue.keep[name])
            )


def _view(catalogue: Catalogue, tier: Tier, finer: Tier | None) -> Composed:
    if finer is None:
        source, time, device = table_of(catalogue), catalogue.time, catalogue.device
    else:
        source, time, device = tier_table(catalogue, finer), BUCKET, DEVICE
    return SQL(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS {view}"
        " WITH (timescaledb.continuous, timescaledb.materialized_only = false)"
        " AS SELECT time_bucket({length}, {time}) AS {b}, {device} AS {d}, {columns} FROM {source}"
        " GROUP BY 1, 2 WITH NO DATA"
    ).format(
        view=tier_table(catalogue, tier),
        length=_interval(tier.interval),
        time=Identifier(time),
        device=Identifier(device),
        columns=SQL(", ").join(
            SQL("{} AS {}").format(column.merged if finer else column.raw, Identifier(column.name))
            for column in columns_of(catalogue)
        ),
        source=source,
        b=Identifier(BUCKET),
        d=Identifier(DEVICE),
    )


def _refresh_policy(catalogue: Catalogue, tier: Tier, source_is_kept: str | None) -> Composed:
    """Never further back than the source is kept: beyond, a refresh would find nothing and empty the tier."""
    return _perform(
        "add_continuous_aggregate_policy",
        regclass(catalogue, tier.table),
        start_offset=_interval(source_is_kept) if source_is_kept else SQL("NULL::interval"),
        end_offset=_interval(tier.interval),
        schedule_interval=_interval(f"{min(tier.seconds, _MOST_S)} seconds"),
    )


def _compression(catalogue: Catalogue, tier: Tier) -> Composed:
    policy = _perform(
        "add_compression_policy",
        regclass(catalogue, tier.table),
        compress_after=_interval(catalogue.compress_after),
    )
    return SQL(
        "IF (SELECT string_to_array(substring(extversion FROM '^[0-9.]+'), '.')::int[] >= {version}::int[]"
        " FROM pg_extension WHERE extname = 'timescaledb')"
        " AND NOT (SELECT compression_enabled FROM timescaledb_information.continuous_aggregates"
        " WHERE view_schema = {schema} AND view_name = {name})"
        " THEN ALTER MATERIALIZED VIEW {view} SET (timescaledb.compress = true); {policy}; END IF"
    ).format(
        version=Literal(_COMPRESSION_FROM),
        schema=Literal(catalogue.schema),
        name=Literal(tier.table),
        view=tier_table(catalogue, tier),
        policy=policy,
    )


def _perform(function: str, relation: Composable, **arguments: Composable) -> Composed:
    given = SQL(", ").join(SQL("{} => {}").format(SQL(name), value) for name, value in arguments.items())
    return SQL("PERFORM {}({}, {}, if_not_exists => true)").format(SQL(function), relation, given)


def _interval(text: str) -> Composed:
    return SQL("{}::interval").format(Literal(text))
