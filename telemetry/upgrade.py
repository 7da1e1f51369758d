"""Upgrades the tiers of earlier versions (summing triggers, continuous aggregates). Pure: builds SQL.

Their rows stay: they may hold readings that have been dropped since. The raw readings that exist are rolled up again.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.changes import changes_table
from telemetry.tiers import rollup_columns, rollup_tiers, tier_table

_FUNCTIONS = ("insert", "change", "truncate", "recompute")


def upgrade_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Run them before all others; without such tiers they do nothing."""
    for function in _FUNCTIONS:
        yield SQL("DROP FUNCTION IF EXISTS {} CASCADE").format(
            Identifier(catalogue.schema, f"{catalogue.table}_tiers_{function}")
        )
    yield SQL("DROP TABLE IF EXISTS {}").format(Identifier(catalogue.schema, f"{catalogue.table}_tiers"))
    log = changes_table(catalogue)
    yield SQL(
        "DO $upgrade$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass({}) AND relkind = 'r') THEN"
        " DROP TABLE {}; END IF; END $upgrade$"
    ).format(Literal(log.as_string()), log)
    tiers = [tier_table(catalogue, tier) for tier in rollup_tiers(catalogue)]
    copied = [Identifier(catalogue.schema, f"{tier.table}_old") for tier in rollup_tiers(catalogue)]
    for table, old in zip(tiers, copied, strict=True):
        yield _if_view(table, SQL("CREATE TABLE {} AS SELECT * FROM {}").format(old, table))
    # The coarser ones depend on the finer ones: drop them first.
    for table, old, tier in reversed(list(zip(tiers, copied, rollup_tiers(catalogue), strict=True))):
        yield _if_view(
            table,
            SQL(
                "DROP MATERIALIZED VIEW {0}; ALTER TABLE {1} RENAME TO {2};"
                " ALTER TABLE {0} ALTER count SET NOT NULL, ADD PRIMARY KEY (device_id, bucket)"
            ).format(table, old, Identifier(tier.table)),
        )
        for column in _columns_without_use(catalogue):
            yield SQL("ALTER TABLE IF EXISTS {} DROP COLUMN IF EXISTS {}").format(table, column)


def _if_view(table: Identifier, statements: Composed) -> Composed:
    return SQL(
        "DO $upgrade$ BEGIN IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass({}) AND relkind = 'v') THEN {};"
        " END IF; END $upgrade$"
    ).format(Literal(table.as_string()), statements)


def _columns_without_use(catalogue: Catalogue) -> list[Identifier]:
    """The former sums per direction, except names that a column still uses."""
    used = {column.name for column in rollup_columns(catalogue)}
    names = [f"{metric.name}_{part}" for metric in catalogue.metrics if metric.is_power for part in ("pos", "neg")]
    return [Identifier(name) for name in names if name not in used]
