"""The whole schema of the telemetry database except its roles, in the order of application. Pure: builds SQL."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import Composed, Identifier

from telemetry import changes, ddl, energy_tiers, floor, policies, tiers, upgrade
from telemetry.catalogue import Catalogue


def table_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """Hypertable, tiers, change log, policies. Run them as the owner role in one transaction. Safe to repeat."""
    yield from ddl.schema_statements(catalogue)
    yield from upgrade.upgrade_statements(catalogue)
    yield from changes.new_metric_statements(catalogue)
    yield from ddl.column_statements(catalogue)
    yield from tiers.rollup_statements(catalogue)
    yield from energy_tiers.energy_ddl(catalogue)
    yield from floor.floor_statements(catalogue)
    yield from changes.change_statements(catalogue)
    yield from changes.energy_known_statements(catalogue)
    yield policies.policy_statement(catalogue)


def readable_tables(catalogue: Catalogue) -> list[Identifier]:
    """The tables that the server's role may read."""
    return [ddl.table_of(catalogue), *changes.readable_tables(catalogue)]
