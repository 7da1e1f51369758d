"""The floor: the time from which on raw readings are complete, and the chunks that were seen. Pure: builds SQL.

Dropping a chunk removes its readings and fires no trigger. The tiers must keep them, so nothing that
begins below the floor is rebuilt from raw readings. The floor rises when a chunk that has been seen vanishes, and it is
never lowered; only TRUNCATE, which empties the tiers too, resets it. A chunk is identified by its name, which
TimescaleDB never uses twice: one that is created again for the same range is another chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier, Literal

from telemetry.catalogue import Catalogue

# Keys of the state table.
FLOOR = "floor"
CAUGHT_UP = "caught_up"


def state_table(catalogue: Catalogue) -> Identifier:
    """`(key, value timestamptz)`. `floor`: see above. `caught_up`: every change that was committed before this time and
    was due then is in the tiers. `energy <metric>`: the energy tiers have the metric since then."""
    return Identifier(catalogue.schema, f"{catalogue.table}_rollup")


def chunks_table(catalogue: Catalogue) -> Identifier:
    """`(name, first, last)`: each chunk of the hypertable that has been seen and its range, half-open."""
    return Identifier(catalogue.schema, f"{catalogue.table}_chunks")


def floor_statements(catalogue: Catalogue) -> Iterator[Composed]:
    """State and chunks. Each is safe to repeat."""
    yield SQL("CREATE TABLE IF NOT EXISTS {} (key text PRIMARY KEY, value timestamptz NOT NULL)").format(
        state_table(catalogue)
    )
    yield SQL(
        "CREATE TABLE IF NOT EXISTS {} (name text PRIMARY KEY, first timestamptz NOT NULL, last timestamptz NOT NULL)"
    ).format(chunks_table(catalogue))


def floor_of(catalogue: Catalogue) -> Composed:
    """The floor as a scalar expression, `-infinity` where every reading is there."""
    return SQL("coalesce((SELECT value FROM {} WHERE key = {}), '-infinity'::timestamptz)").format(
        state_table(catalogue), Literal(FLOOR)
    )


def lag_statement(catalogue: Catalogue) -> Composed:
    """`(seconds,)` since the tiers last held all that was due; no row where they never did."""
    return SQL("SELECT date_part('epoch', clock_timestamp() - value) FROM {} WHERE key = {}").format(
        state_table(catalogue), Literal(CAUGHT_UP)
    )
