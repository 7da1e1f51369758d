"""The statement that sums up the periods of an energy question, from the tier of a minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from core.catalogue import CATALOGUE
from history_app.energy.readings import KNOWN, PEAKED, sums_of
from history_app.energy.rules import QUANTITIES, PeriodSums, sums_nothing
from history_app.planning.plan import Sources
from history_app.store.pool import Connection
from telemetry.ddl import table_of
from telemetry.tiers import BUCKET, COUNT, DEVICE, Tier, metric_column
from telemetry.times import SECOND_US, datetime_from_us

TIER_S = 60
_BUCKET, _DEVICE, _COUNT = Identifier(BUCKET), Identifier(DEVICE), Identifier(COUNT)
_TIME = Identifier(CATALOGUE.time)
_METRICS = tuple(CATALOGUE.by_role.values())


def tier_for(sources: Sources, edges: Sequence[int], max_hold_s: int) -> Tier | None:
    """The tier of a minute, if it can answer for the periods between `edges` (µs); None where only raw rows can.

    A minute cannot say what a reading holds beyond its end, so `max_hold_s` may not be longer. Where the wall clock of
    a zone was off by seconds (Monrovia, until 1972), a day does not begin with a minute.
    """
    if max_hold_s > TIER_S or any(edge % (TIER_S * SECOND_US) for edge in edges):
        return None
    signed = {f"{metric.name}_{part}" for metric in _METRICS for part in ("pos", "neg")}
    has_signs = {known.tier for known in sources.tiers if signed <= known.columns}
    usable = sources.usable(edges[0], _METRICS)
    return next((tier for tier in usable if tier.seconds == TIER_S and tier in has_signs), None)


async def fetch_tier_periods(
    connection: Connection, device_id: str, edges: Sequence[int], tier: Tier, *, now: int, max_hold_s: int
) -> list[PeriodSums]:
    """The sums of each period between `edges` (µs), in order, of one snapshot and one pass over the tier's rows."""
    parameters = {
        "device": device_id,
        "edges": [datetime_from_us(edge) for edge in edges],
        "low": datetime_from_us(edges[0]),
        "high": datetime_from_us(min(edges[-1], now)),
        "now_s": now / SECOND_US,
        "hold": float(max_hold_s),
    }
    cursor = connection.cursor(binary=True)
    await cursor.execute(_statement(tier.table), parameters)
    rows = {number: row for number, *row in await cursor.fetchall()}
    return [
        sums_of(low, high, rows[number]) if number in rows else sums_nothing(low, high)
        for number, (low, high) in enumerate(pairwise(edges))
    ]


@lru_cache(maxsize=2)
def _statement(table: str) -> bytes:
    """One row a period that has readings: its number, then what `energy_queries.sums_of` takes."""
    return (
        SQL("SELECT number, covered{sums}{peaks} FROM ({periods}) AS period{probes} ORDER BY number")
        .format(
            sums=Composed([SQL(", {}").format(Identifier(name)) for name in KNOWN]),
            peaks=Composed(
                [
                    # The reading itself may have aged out: then the minute is all that is known.
                    SQL(", {peak}[1], coalesce({probe}.at, to_timestamp(-{peak}[2]))").format(
                        peak=_peak(role), probe=_probe(role)
                    )
                    for role in PEAKED
                ]
            ),
            periods=_periods(table),
            probes=Composed([_exact_time(role) for role in PEAKED]),
        )
        .as_bytes()
    )


def _periods(table: str) -> Composable:
    return SQL(
        "SELECT width_bucket({bucket}, %(edges)s::timestamptz[]) - 1 AS number, {sums} FROM ({minutes}) AS minute"
        " GROUP BY 1"
    ).format(bucket=_BUCKET, sums=SQL(", ").join(_aggregates()), minutes=_minutes(table))


def _minutes(table: str) -> Composable:
    """The rows of the tier, with when they begin and the seconds of them that have elapsed."""
    parts = ("count", "pos", "neg")
    columns = [metric_column(metric, part) for metric in _METRICS for part in parts]
    columns += [metric_column(CATALOGUE.by_role[role], "max") for role in PEAKED]
    # OFFSET 0 keeps what is said here from being worked out again for every aggregate.
    return SQL(
        "SELECT {listed}, date_part('epoch', {bucket}) AS begin_s,"
        " least({length}, %(now_s)s::double precision - date_part('epoch', {bucket})) AS elapsed_s FROM {table}"
        " WHERE {device} = %(device)s AND {bucket} >= %(low)s AND {bucket} < %(high)s OFFSET 0"
    ).format(
        listed=SQL(", ").join([_BUCKET, _COUNT, *columns]),
        bucket=_BUCKET,
        length=Literal(float(TIER_S)),
        table=Identifier(CATALOGUE.schema, table),
        device=_DEVICE,
    )


def _aggregates() -> Iterator[Composable]:
    """As `energy.mean_hold_s`. A reading without a value counts for nothing, as it does among raw readings."""
    yield SQL("sum(least(elapsed_s, {} * %(hold)s)) AS covered").format(_COUNT)
    for name in KNOWN:
        role, sign = QUANTITIES[name]
        metric = CATALOGUE.by_role[role]
        yield SQL("sum({power} * least(elapsed_s / {count}, %(hold)s)) FILTER (WHERE {values} > 0) AS {name}").format(
            power=metric_column(metric, "pos") if sign > 0 else SQL("-{}").format(metric_column(metric, "neg")),
            count=_COUNT,
            values=metric_column(metric, "count"),
            name=Identifier(name),
        )
    for role in PEAKED:
        # The highest, and of several the earliest: arrays compare element by element.
        yield SQL("max(ARRAY[{highest}, -begin_s]) FILTER (WHERE {highest} IS NOT NULL) AS {peak}").format(
            highest=metric_column(CATALOGUE.by_role[role], "max"), peak=_peak(role)
        )


def _exact_time(role: str) -> Composable:
    """When the highest reading was taken: looked up among the readings of its minute."""
    return SQL(
        " LEFT JOIN LATERAL (SELECT {time} AS at FROM {table} WHERE {device} = %(device)s"
        " AND {time} >= to_timestamp(-{peak}[2]) AND {time} < to_timestamp(-{peak}[2]) + {length}::interval"
        " AND {column} = {peak}[1] ORDER BY {time} LIMIT 1) AS {probe} ON true"
    ).format(
        time=_TIME,
        table=table_of(CATALOGUE),
        device=Identifier(CATALOGUE.device),
        peak=_peak(role),
        length=Literal(f"{TIER_S} seconds"),
        column=Identifier(CATALOGUE.by_role[role].column),
        probe=_probe(role),
    )


def _peak(role: str) -> Identifier:
    return Identifier(f"{role}_peak")


def _probe(role: str) -> Identifier:
    return Identifier(f"{role}_exact")
