"""The rollup tiers' part of the schema: the state table, and the way to keep tiers that the server's edition allows.

Pure: builds SQL. History uses a tier for what begins at or after its `complete_since`: `-infinity` where the tier was
there before the first reading, `infinity` where readings were there before it, until they are filled in (backfill).
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.ddl import regclass, table_of
from telemetry.tiers import state_table, tier_table, tiers_of
from telemetry.tiers_caggs import cagg_statements
from telemetry.tiers_trigger import trigger_statements


def state_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """To be run before the hypertable gets its new columns: those that are there already may hold values."""
    state = state_table(catalogue)
    yield SQL("CREATE TABLE IF NOT EXISTS {} (tier text PRIMARY KEY, complete_since timestamptz NOT NULL)").format(
        state
    )
    yield SQL("DELETE FROM {} WHERE to_regclass(format('%I.%I', {}::text, tier)) IS NULL").format(
        state, Literal(catalogue.schema)
    )
    has_column = "(SELECT FROM pg_attribute WHERE attrelid = {} AND attname = {} AND NOT attisdropped)"
    yield SQL(
        "UPDATE {state} AS s SET complete_since = 'infinity' FROM (VALUES {metrics}) AS m (stored, rolled)"
        " WHERE EXISTS (SELECT FROM pg_class WHERE oid = {tier} AND relkind = 'r')"
        " AND EXISTS {stored} AND NOT EXISTS {rolled} AND EXISTS (SELECT FROM {table})"
    ).format(
        state=state,
        metrics=SQL(", ").join(
            SQL("({}, {})").format(Literal(metric.column), Literal(f"{metric.name}_count"))
            for metric in catalogue.metrics
        ),
        tier=(tier := SQL("to_regclass(format('%I.%I', {}::text, s.tier))").format(Literal(catalogue.schema))),
        stored=SQL(has_column).format(regclass(catalogue, catalogue.table), SQL("m.stored")),
        rolled=SQL(has_column).format(tier, SQL("m.rolled")),
        table=table_of(catalogue),
    )


def tier_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """The tiers, kept in the way the server allows; where triggers keep them already it stays that way."""
    tiers = tiers_of(catalogue)
    yield SQL(
        "DO $tiers$ BEGIN\n"
        "IF current_setting('timescaledb.license') = 'timescale'"
        " AND NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass({}) AND relkind = 'r') THEN\n"
        "{};\nELSE\n{};\nEND IF;\nEND $tiers$"
    ).format(
        Literal(tier_table(catalogue, tiers[0]).as_string()),
        SQL(";\n").join(cagg_statements(catalogue)),
        SQL(";\n").join(trigger_statements(catalogue)),
    )
    yield SQL(
        "INSERT INTO {} SELECT tier, CASE WHEN EXISTS (SELECT FROM {}) THEN 'infinity'::timestamptz"
        " ELSE '-infinity' END FROM unnest({}::text[]) AS tier ON CONFLICT DO NOTHING"
    ).format(state_table(catalogue), table_of(catalogue), Literal([tier.table for tier in tiers]))


def readable_tables(catalogue: Catalogue) -> list[Identifier]:
    """What the server's role reads."""
    return [table_of(catalogue), state_table(catalogue), *(tier_table(catalogue, tier) for tier in tiers_of(catalogue))]
