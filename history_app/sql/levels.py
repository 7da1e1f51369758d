"""The reader rule: which spans of a window each tier answers, and which only raw readings do.

A bucket of a tier is right if and only if no row of the change log (`telemetry.changes`) of the tier's stage or an
earlier one overlaps it. Buckets that are not right are read from the next finer tier, those of the finest tier from
raw readings. The statement reads the log, the tiers and the readings in one snapshot, so the answer is the same
whether the rollup is done, behind or absent.

All of it is multirange arithmetic: `span<i>` is what level i answers, `span_raw` what raw readings answer.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier, Literal

from core.catalogue import CATALOGUE
from telemetry.changes import changes_table
from telemetry.floor import floor_of
from telemetry.tiers import Tier

LOG = changes_table(CATALOGUE)
# The text of a statement depends on these: each tier, and whether edges of the window cut some of its buckets.
Shape = tuple[tuple[Tier, bool], ...]


def span_tables(shape: Shape) -> Composed:
    """The common table expressions that end in `spans`: one row of multiranges, `span0` … and `span_raw`.

    Parameters: `device`, `low`, `high`, and `cut<i>` for a level with cut buckets.
    """
    wrong = SQL(", ").join(_wrong(index, tier, is_cut=is_cut) for index, (tier, is_cut) in enumerate(shape))
    names = [Identifier(f"wrong{index}") for index in range(len(shape))]
    window = SQL("tstzmultirange(tstzrange(%(low)s, %(high)s))")
    spans = [
        SQL("{} - {} AS span0").format(window, names[0]),
        *(
            SQL("{} * {} - {} AS {}").format(window, names[index - 1], names[index], Identifier(f"span{index}"))
            for index in range(1, len(shape))
        ),
        SQL("{} * {} AS span_raw").format(window, names[-1]),
    ]
    return SQL(
        "logged AS MATERIALIZED (SELECT coalesce(range_agg(span) FILTER (WHERE stage = 0), '{{}}') AS stage0,"
        " coalesce(range_agg(span), '{{}}') AS stage1 FROM (SELECT stage, tstzrange(greatest(first, floor), last, '[]')"
        " AS span FROM {log}, (SELECT {floor} AS floor OFFSET 0) AS known WHERE device_id = %(device)s"
        " AND last >= floor AND last >= %(low)s AND first < %(high)s) AS changed),"
        " wrong AS MATERIALIZED (SELECT {wrong} FROM logged), spans AS MATERIALIZED (SELECT {spans} FROM wrong)"
    ).format(log=LOG, floor=floor_of(CATALOGUE), wrong=wrong, spans=SQL(", ").join(spans))


def _wrong(index: int, tier: Tier, *, is_cut: bool) -> Composed:
    """The buckets of a tier that it does not answer: those with a logged change, and those that are cut."""
    length = SQL("{}::interval").format(Literal(tier.interval))
    binned = SQL("date_bin({length}, {time}, 'epoch'::timestamptz)")
    found = SQL(
        "coalesce((SELECT range_agg(tstzrange({low}, {high} + {length})) FROM unnest({stage}) AS span), '{{}}')"
    ).format(
        low=binned.format(length=length, time=SQL("lower(span)")),
        high=binned.format(length=length, time=SQL("upper(span)")),
        length=length,
        stage=SQL("stage0") if tier.stage == 0 else SQL("stage1"),
    )
    if is_cut:
        found += SQL(
            " + (SELECT range_agg(tstzrange(cut, cut + {length})) FROM unnest(%({cuts})s::timestamptz[]) AS cut)"
        ).format(length=length, cuts=SQL(f"cut{index}"))
    return SQL("{} AS {}").format(found, Identifier(f"wrong{index}"))
