"""Statements that rebuild touched buckets of the energy tiers. Pure: builds SQL, runs none.

The tier of a quarter of an hour is built from raw readings, the others from the next finer tier. What a row holds:
`telemetry.energy_tiers`. The rule that it serves (docs/energy.md): a reading holds until the next one, at most for its
reach; the reach follows from the two intervals before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from telemetry.cadence import REACH_FACTOR, REACH_MAX_S, REACH_MIN_S
from telemetry.catalogue import Catalogue, Metric
from telemetry.ddl import finite, table_of
from telemetry.energy_tiers import COLUMN_NAMES, ENERGY_TIERS, QUARTER, EnergyTier, energy_metrics, energy_table


def energy_statements(
    catalogue: Catalogue, touched: Composable, within: tuple[Composable, Composable] | None = None
) -> Iterator[Composed]:
    """Rebuild the touched buckets in every energy tier, finest first.

    `within`: times between which all touched buckets lie, if known. The database then opens only the chunks there: the
    search through all chunks of a year costs as much as a bucket of readings.
    `touched` is a relation with the columns `device_id` and `bucket` (start of a quarter of an hour), each pair once.
    Run the statements in order, in one transaction. A catalogue without power and energy metrics has no statements.
    """
    if not energy_metrics(catalogue):
        return
    finer: EnergyTier | None = None
    for tier in ENERGY_TIERS:
        buckets = _buckets(tier, touched)
        yield SQL(
            "DELETE FROM {} AS stored USING ({}) AS touched"
            " WHERE stored.device_id = touched.device_id AND stored.bucket = touched.bucket"
        ).format(energy_table(catalogue, tier), buckets)
        rows = _rows_from_raw(catalogue, within) if finer is None else _rows_from_tier(catalogue, finer, tier)
        yield SQL(
            "INSERT INTO {} ({}, device_id, bucket) SELECT made.*, touched.device_id, touched.bucket"
            " FROM ({}) AS touched CROSS JOIN LATERAL ({}) AS made"
        ).format(energy_table(catalogue, tier), _names(_MADE), buckets, rows)
        finer = tier


def reach(first: Composable, second: Composable) -> Composed:
    """The reach in seconds, from the two intervals before a reading in seconds, null where there is none."""
    known = SQL("CASE WHEN {0} <= {1} THEN {0} END")
    longest = Literal(REACH_MAX_S)
    intervals = [known.format(interval, longest) for interval in (first, second)]
    # least() and greatest() ignore nulls: without any known interval this is the shortest reach.
    return SQL("least(greatest({} * least({}, {}), {}), {})").format(
        Literal(REACH_FACTOR), *intervals, Literal(REACH_MIN_S), longest
    )


_MADE = tuple(name for name in COLUMN_NAMES if name not in ("device_id", "bucket"))


def _names(names: tuple[str, ...]) -> Composed:
    return SQL(", ").join(map(Identifier, names))


def _buckets(tier: EnergyTier, touched: Composable) -> Composable:
    """The touched buckets of a tier."""
    if tier is QUARTER:
        return SQL("SELECT device_id, bucket FROM {}").format(touched)
    return SQL("SELECT DISTINCT device_id, time_bucket({}::interval, bucket) AS bucket FROM {}").format(
        Literal(tier.interval), touched
    )


def _seconds(later: str, earlier: str) -> Composed:
    return SQL("date_part('epoch', {} - {})").format(SQL(later), SQL(earlier))


def _hold(at: str, following: str, before: str, before_that: str) -> Composed:
    """Seconds that the reading at `at` holds. A gap within the shortest reach needs no reach: most readings."""
    gap = _seconds(following, at)
    return SQL("CASE WHEN {gap} <= {least} THEN {gap} ELSE least({gap}, {reach}) END").format(
        gap=gap, least=Literal(REACH_MIN_S), reach=reach(_seconds(at, before), _seconds(before, before_that))
    )


def _increase(value: str, before: str) -> Composed:
    """The increase of a counter. A value below the previous one is a reset and counts from zero."""
    names = {"value": SQL(value), "before": SQL(before)}
    return SQL("CASE WHEN {value} >= {before} THEN {value} - {before} ELSE greatest({value}, 0) END").format(**names)


def _rows_from_raw(catalogue: Catalogue, within: tuple[Composable, Composable] | None) -> Composed:
    """One row per metric for the bucket of `touched`. One scan per metric, in the order of the index.

    Measured: a quarter of the time of one scan whose values are then sorted by metric.
    """
    return SQL("\nUNION ALL\n").join(_row_from_raw(catalogue, metric, within) for metric in energy_metrics(catalogue))


def _row_from_raw(catalogue: Catalogue, metric: Metric, within: tuple[Composable, Composable] | None) -> Composed:
    time = SQL("raw.") + Identifier(catalogue.time)
    bounds = SQL(" AND {time} >= {} AND {time} < {}").format(*within, time=time) if within else SQL("")
    reading = SQL(
        "SELECT {time} AS at, {value} AS value FROM {table} AS raw WHERE raw.{device} = touched.device_id"
        " AND {time} >= touched.bucket AND {time} < touched.bucket + {length}::interval{bounds}"
    ).format(
        time=time,
        bounds=bounds,
        value=finite(SQL("raw.") + Identifier(metric.column)),
        table=table_of(catalogue),
        device=Identifier(catalogue.device),
        length=Literal(QUARTER.interval),
    )
    placed = SQL(
        "SELECT *, row_number() OVER w AS place, lag(at) OVER w AS before, lag(at, 2) OVER w AS before_that,"
        " lead(at) OVER w AS following{} FROM ({}) AS reading WHERE value IS NOT NULL WINDOW w AS (ORDER BY at)"
    ).format(SQL(", lag(value) OVER w AS value_before" if metric.is_counter else ""), reading)
    counted = _counter_sums() if metric.is_counter else _power_sums()
    return SQL(
        "SELECT count(*), min(at), min(at) FILTER (WHERE place = 2), min(at) FILTER (WHERE place = 3),"
        " max(at), max(before), max(before_that), min(value) FILTER (WHERE place = 1),"
        " min(value) FILTER (WHERE place = 2), min(value) FILTER (WHERE following IS NULL),"
        " {sums}, max(value), last(at, value), {metric}"
        " FROM (SELECT *, {held} AS held FROM ({placed}) AS placed) AS held HAVING count(*) > 0"
    ).format(
        sums=counted,
        metric=Literal(metric.name),
        held=SQL("CASE WHEN place >= 3 AND following IS NOT NULL THEN {} END").format(
            _hold("at", "following", "before", "before_that")
        ),
        placed=placed,
    )


def _power_sums() -> Composed:
    return SQL(
        "coalesce(sum(greatest(value, 0) * held), 0), coalesce(sum(greatest(-value, 0) * held), 0),"
        " coalesce(sum(held), 0)"
    ).format()


def _counter_sums() -> Composed:
    return SQL("coalesce(sum({}) FILTER (WHERE place > 1), 0), 0, {}").format(
        _increase("value", "value_before"), _seconds("max(at)", "min(at)")
    )


def _rows_from_tier(catalogue: Catalogue, finer: EnergyTier, tier: EnergyTier) -> Composed:
    """One row per metric for the bucket of `touched`, joined from the rows of the finer tier inside it.

    `ahead` and `behind` are the numbers of readings in earlier and in later rows of the bucket: they say which of a
    row's first and last readings are the bucket's. The holds that a row could not tell alone (of its first two readings
    and of its last one) follow from the rows beside it, as soon as two readings come before and one after.
    """
    placed = SQL(
        "SELECT finer.*, sum(count) OVER w - count AS ahead,"
        " sum(count) OVER (PARTITION BY metric) - sum(count) OVER w AS behind,"
        " lag(last_1) OVER w AS before, coalesce(lag(last_2) OVER w, lag(last_1, 2) OVER w) AS before_that,"
        " lag(last_value) OVER w AS value_before, lead(first_1) OVER w AS following FROM {} AS finer"
        " WHERE finer.device_id = touched.device_id AND finer.bucket >= touched.bucket"
        " AND finer.bucket < touched.bucket + {}::interval WINDOW w AS (PARTITION BY metric ORDER BY bucket)"
    ).format(energy_table(catalogue, finer), Literal(tier.interval))
    held = SQL(
        "SELECT *, CASE WHEN ahead >= 2 AND coalesce(first_2, following) IS NOT NULL THEN {first} ELSE 0 END AS held_1,"
        " CASE WHEN count >= 2 AND ahead >= 1 AND coalesce(first_3, following) IS NOT NULL THEN {second} ELSE 0 END"
        " AS held_2, CASE WHEN count >= 3 AND following IS NOT NULL THEN {last} ELSE 0 END AS held_last"
        " FROM ({placed}) AS placed"
    ).format(
        first=_hold("first_1", "coalesce(first_2, following)", "before", "before_that"),
        second=_hold("first_2", "coalesce(first_3, following)", "first_1", "before"),
        last=_hold("last_1", "following", "last_2", "last_3"),
        placed=placed,
    )
    return SQL(
        "SELECT sum(count)::bigint, min(first_1), {first_2}, {first_3}, max(last_1), {last_2}, {last_3},"
        " min(value_1) FILTER (WHERE ahead = 0), {value_2}, min(last_value) FILTER (WHERE behind = 0),"
        " {sums}, max(highest), last(highest_time, highest), metric FROM ({held}) AS held GROUP BY metric"
    ).format(
        first_2=SQL("max(CASE ahead WHEN 0 THEN first_2 WHEN 1 THEN first_1 END)"),
        first_3=SQL("max(CASE ahead WHEN 0 THEN first_3 WHEN 1 THEN first_2 WHEN 2 THEN first_1 END)"),
        last_2=SQL("max(CASE behind WHEN 0 THEN last_2 WHEN 1 THEN last_1 END)"),
        last_3=SQL("max(CASE behind WHEN 0 THEN last_3 WHEN 1 THEN last_2 WHEN 2 THEN last_1 END)"),
        value_2=SQL("max(CASE ahead WHEN 0 THEN value_2 WHEN 1 THEN value_1 END)"),
        sums=_joined_sums(catalogue),
        held=held,
    )


def _joined_sums(catalogue: Catalogue) -> Composable:
    """`positive`, `negative` and `held` of the joined rows."""
    positive, negative = (_direction(name, sign) for name, sign in (("positive", ""), ("negative", "-")))
    held = SQL("sum(held + held_1 + held_2 + held_last)")
    counters = [metric.name for metric in energy_metrics(catalogue) if metric.is_counter]
    if not counters:
        return SQL(", ").join([positive, negative, held])
    increase = SQL("sum(positive + CASE WHEN ahead > 0 THEN {} ELSE 0 END)").format(
        _increase("value_1", "value_before")
    )
    counted = SQL("CASE WHEN metric = ANY ({}) THEN {} ELSE {} END")
    return SQL(", ").join(
        [
            counted.format(Literal(counters), increase, positive),
            counted.format(Literal(counters), Literal(0.0), negative),
            counted.format(Literal(counters), _seconds("max(last_1)", "min(first_1)"), held),
        ]
    )


def _direction(name: str, sign: str) -> Composed:
    """A direction's sum. greatest() ignores nulls: a row without a second reading holds it for 0 seconds."""
    return SQL(
        "sum({name} + greatest({sign}value_1, 0) * held_1 + greatest({sign}value_2, 0) * held_2"
        " + greatest({sign}last_value, 0) * held_last)"
    ).format(name=Identifier(name), sign=SQL(sign))
