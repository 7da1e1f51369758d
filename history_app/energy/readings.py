"""The statement that sums up the periods of an energy question, from raw readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from core.catalogue import CATALOGUE
from history_app.energy.rules import JOULES_PER_KWH, PEAKS, QUANTITIES, WATTS, Peak, PeriodSums
from history_app.store.pool import Connection
from telemetry.ddl import table_of
from telemetry.times import datetime_from_us, us_from_datetime

_TIME = Identifier(CATALOGUE.time)
KNOWN = [name for name, (role, _) in QUANTITIES.items() if role in CATALOGUE.by_role]
PEAKED = [role for role in PEAKS if role in CATALOGUE.by_role]


async def fetch_periods(
    connection: Connection, device_id: str, edges: Sequence[int], *, now: int, max_hold_s: int
) -> list[PeriodSums]:
    """The sums of each period between `edges` (µs), in order, of one snapshot."""
    moments = [datetime_from_us(edge) for edge in edges]
    parameters = {
        "device": device_id,
        "lows": moments[:-1],
        "highs": moments[1:],
        "now": datetime_from_us(now),
        "hold": max_hold_s,
    }
    cursor = connection.cursor(binary=True)
    await cursor.execute(_period_statement(), parameters)
    rows = await cursor.fetchall()
    return [sums_of(low, high, row) for (low, high), row in zip(pairwise(edges), rows, strict=True)]


def sums_of(low: int, high: int, row: Sequence[Any]) -> PeriodSums:
    """From seconds covered, power × seconds of each of KNOWN, then the peak and its time of each of PEAKED."""
    covered, *found = row
    values = iter(found)
    kwh: dict[str, float | None] = dict.fromkeys(QUANTITIES)
    for name in KNOWN:
        watt_seconds = next(values)
        kwh[name] = None if watt_seconds is None else watt_seconds * _scale(QUANTITIES[name][0]) / JOULES_PER_KWH
    peaks: dict[str, Peak | None] = dict.fromkeys(PEAKS)
    for role in PEAKED:
        power, at = next(values), next(values)
        peaks[role] = None if power is None else Peak(power * _scale(role), us_from_datetime(at))
    return PeriodSums(low, high, covered or 0.0, kwh, peaks)


def _scale(role: str) -> float:
    return WATTS[CATALOGUE.by_role[role].unit]


@lru_cache(maxsize=1)
def _period_statement() -> bytes:
    """One row a period: seconds covered, power × seconds of each quantity, then each peak and its time."""
    return (
        SQL(
            "SELECT found.* FROM unnest(%(lows)s::timestamptz[], %(highs)s::timestamptz[])"
            " WITH ORDINALITY AS period(low, high, place) CROSS JOIN LATERAL"
            " (SELECT {sums} FROM ({held}) AS reading WHERE held > 0) AS found ORDER BY period.place"
        )
        .format(sums=SQL(", ").join(_aggregates()), held=_held())
        .as_bytes()
    )


def _held() -> Composable:
    """The readings of a period, and the last one before it, with the seconds that each holds within the period."""
    columns = [Identifier(metric.column) for metric in CATALOGUE.by_role.values()]
    return SQL(
        "SELECT {listed}, date_part('epoch', least(lead({time}) OVER (ORDER BY {time}),"
        " {time} + %(hold)s * interval '1 second', period.high, %(now)s::timestamptz)"
        " - greatest({time}, period.low)) AS held FROM {table} WHERE {device} = %(device)s"
        " AND {time} > period.low - %(hold)s * interval '1 second' AND {time} < period.high"
    ).format(
        listed=SQL(", ").join([_TIME, *columns]),
        time=_TIME,
        table=table_of(CATALOGUE),
        device=Identifier(CATALOGUE.device),
    )


def _aggregates() -> Iterator[Composable]:
    yield SQL("sum(held)")
    for role, sign in (QUANTITIES[name] for name in KNOWN):
        part = SQL("greatest(0, {})" if sign > 0 else "greatest(0, -{})")
        column = Identifier(CATALOGUE.by_role[role].column)
        # greatest() ignores nulls: without the filter a missing power would count as zero.
        yield SQL("sum({} * held) FILTER (WHERE {} IS NOT NULL)").format(part.format(column), column)
    for role in PEAKED:
        column = Identifier(CATALOGUE.by_role[role].column)
        measured = SQL(" FILTER (WHERE {} IS NOT NULL AND {} >= period.low)").format(column, _TIME)
        yield SQL("max({}){}").format(column, measured)
        yield SQL("last({}, {}){}").format(_TIME, column, measured)
