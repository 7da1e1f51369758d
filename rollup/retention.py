"""Deletes rows of tiers that are older than the catalogue keeps them. Pure: builds SQL.

Only days whose raw readings have been dropped lose rows: a tier that has fewer rows than its source would be wrong.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.floor import floor_of
from telemetry.tiers import BUCKET, DEVICE, rollup_tiers, tier_table


def retention_statements(catalogue: Catalogue) -> list[Composed]:
    """One statement per tier with a limit. Devices are found by skipping through the primary key."""
    return [
        SQL("""
WITH RECURSIVE devices AS (
  (SELECT {d} AS id FROM {tier} ORDER BY {d} LIMIT 1)
  UNION ALL
  SELECT (SELECT {d} FROM {tier} WHERE {d} > devices.id ORDER BY {d} LIMIT 1) FROM devices WHERE devices.id IS NOT NULL
)
DELETE FROM {tier} USING devices WHERE {d} = devices.id
  AND {b} < time_bucket('1 day', least(now() - {keep}::interval, {floor}))""").format(
            tier=tier_table(catalogue, tier),
            keep=Literal(catalogue.keep[tier.name]),
            floor=floor_of(catalogue),
            d=Identifier(DEVICE),
            b=Identifier(BUCKET),
        )
        for tier in rollup_tiers(catalogue)
        if tier.name in catalogue.keep
    ]
