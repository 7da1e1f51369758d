"""Filling the rollup tiers from the raw rows, newest day first, while writers go on writing.

For tiers that came after the first readings, and to make a span again. Each day that is done moves `complete_since`
back: what was reached is used at once, and after an interruption the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from telemetry.catalogue import Catalogue
from telemetry.ddl import regclass, table_of
from telemetry.tiers import BUCKET, DEVICE, state_table, tier_table, tiers_of
from telemetry.tiers_trigger import binned, recompute_function

Connection = psycopg.Connection[tuple[Any, ...]]
Span = tuple[datetime, datetime]


class NoTiersError(RuntimeError):
    """The schema command has not been run: there is nothing to fill."""


class Backfill:
    """`connection`: autocommit, as the owner role. Methods raise psycopg.Error."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._tiers = tiers_of(catalogue)

    def run(self, since: datetime | None, report: Callable[[datetime, int, int], None]) -> int:
        """Fill what is not complete; with `since`, make every day from that one on again. Returns how many days.

        `report` is called after each day with the day, how many are done and how many there are. Raises `NoTiersError`.
        """
        is_kept_by_triggers = self._is_kept_by_triggers()
        days = self._days(since)
        devices = self._devices() if days and is_kept_by_triggers else []
        for done, day in enumerate(days, 1):
            if is_kept_by_triggers:
                for device in devices:
                    self._recompute(device, day)
            else:
                self._refresh(day)
            self._complete_since(day[0].isoformat())
            report(day[0], done, len(days))
        if since is None:
            self._complete_since("-infinity")
        return len(days)

    def _is_kept_by_triggers(self) -> bool:
        finest = tier_table(self._catalogue, self._tiers[0]).as_string()
        row = self._connection.execute(
            "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", [finest]
        ).fetchone()
        if row is None:
            raise NoTiersError("there are no rollup tiers yet: run manage.py telemetry_schema --apply")
        return bool(row[0] == "r")

    def _days(self, since: datetime | None) -> list[Span]:
        """The days in UTC for which there are chunks, newest first, cut where chunks are."""
        query = SQL(
            "SELECT greatest(day, range_start), least(day + interval '1 day', range_end)"
            " FROM timescaledb_information.chunks CROSS JOIN LATERAL generate_series("
            "date_bin('1 day', range_start, {epoch}), range_end - interval '1 us', interval '1 day') AS day"
            " WHERE hypertable_schema = %(schema)s AND hypertable_name = %(table)s AND {wanted} ORDER BY 1 DESC"
        ).format(
            epoch=SQL("'1970-01-01Z'::timestamptz"),
            wanted=SQL("day < (SELECT max(complete_since) FROM {})").format(state_table(self._catalogue))
            if since is None
            else SQL("day > %(since)s - interval '1 day'"),
        )
        asked = {"schema": self._catalogue.schema, "table": self._catalogue.table, "since": since}
        return [(low, high) for low, high in self._connection.execute(query, asked).fetchall()]

    def _devices(self) -> list[str]:
        """Every device with a reading, by skipping from one to the next in the primary key."""
        query = SQL(
            "WITH RECURSIVE found (device) AS ((SELECT {device} FROM {table} ORDER BY {device} LIMIT 1) UNION ALL"
            " SELECT (SELECT {device} FROM {table} WHERE {device} > found.device ORDER BY {device} LIMIT 1)"
            " FROM found WHERE found.device IS NOT NULL) SELECT device FROM found WHERE device IS NOT NULL"
        ).format(device=Identifier(self._catalogue.device), table=table_of(self._catalogue))
        return [device for (device,) in self._connection.execute(query).fetchall()]

    def _recompute(self, device: str, day: Span) -> None:
        """One device and day in a transaction of its own: for that long, about 0.1 s, its writers of that day wait."""
        query = SQL(
            "SELECT {recompute}(array_agg(%(device)s::text), array_agg(bucket)) FROM ("
            "SELECT {minute} AS bucket FROM {raw}"
            " WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s"
            " UNION SELECT {b} FROM {tier} WHERE {d} = %(device)s AND {b} >= %(low)s AND {b} < %(high)s"
            ") AS touched HAVING count(*) > 0"
        ).format(
            recompute=recompute_function(self._catalogue),
            minute=binned(self._tiers[0], Identifier(self._catalogue.time)),
            raw=table_of(self._catalogue),
            device=Identifier(self._catalogue.device),
            time=Identifier(self._catalogue.time),
            tier=tier_table(self._catalogue, self._tiers[0]),
            b=Identifier(BUCKET),
            d=Identifier(DEVICE),
        )
        self._connection.execute(query, {"device": device, "low": day[0], "high": day[1]})

    def _refresh(self, day: Span) -> None:
        """Whole buckets that are over; what is in progress stays real-time."""
        for tier in self._tiers:
            end = min(day[1], datetime.now(UTC)).timestamp()
            low, high = day[0].timestamp() // 86_400 * 86_400, -(-end // tier.seconds) * tier.seconds
            if high > datetime.now(UTC).timestamp():
                high -= tier.seconds
            if high > low:
                # A procedure that commits by itself takes no parameters from a client that binds them.
                bounds = (datetime.fromtimestamp(second, UTC).isoformat() for second in (low, high))
                call = SQL("CALL refresh_continuous_aggregate({}, {}::timestamptz, {}::timestamptz)")
                self._connection.execute(call.format(regclass(self._catalogue, tier.table), *map(Literal, bounds)))

    def _complete_since(self, moment: str) -> None:
        query = SQL("UPDATE {} SET complete_since = least(complete_since, %s::timestamptz)")
        self._connection.execute(query.format(state_table(self._catalogue)), [moment])
