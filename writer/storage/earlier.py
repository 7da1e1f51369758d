"""Readings that an earlier process stored and that are still ahead of the clock: this process has to publish them."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.sql import SQL, Identifier

from telemetry.catalogue import Catalogue
from telemetry.ddl import table_of
from telemetry.reading import Reading
from telemetry.times import SECOND_US, datetime_from_us, now_us


class Earlier:
    """Asks the database once per device, when its first reading is stored.

    A writer publishes only the devices that report to it, so several writers do not publish each other's readings.
    """

    def __init__(self, catalogue: Catalogue, max_future_s: int) -> None:
        names = {
            "table": table_of(catalogue),
            "time": Identifier(catalogue.time),
            "device": Identifier(catalogue.device),
            "metrics": SQL(", ").join([Identifier(metric.column) for metric in catalogue.metrics]),
        }
        self._statement = SQL(
            "SELECT {device}, (extract(epoch FROM {time}) * 1000000)::bigint, {metrics} FROM {table}"
            " WHERE {device} = ANY(%s) AND {time} > %s ORDER BY {time}"
        ).format(**names)
        # From then on, nothing that an earlier process accepted is ahead of the clock.
        self._end_us = now_us() + max_future_s * SECOND_US
        self._known: set[str] = set()
        self._asked: list[str] = []
        self._waiting: dict[str, int] = {}  # µs at which the device first reported to this process

    def note(self, readings: Sequence[Reading]) -> None:
        """Note the devices of readings that have just arrived."""
        now = now_us()
        if now < self._end_us:
            for device_id in {reading.device_id for reading in readings} - self._known:
                self._waiting[device_id] = now
                self._known.add(device_id)

    async def find(self, cursor: psycopg.AsyncCursor[tuple[object, ...]]) -> list[Reading]:
        """The readings of the noted devices that were ahead of the clock when the device was noted, oldest first.

        Call it before their first readings are stored. It returns the same again until `found` is called.
        """
        self._asked = list(self._waiting)
        if not self._asked:
            return []
        since = datetime_from_us(min(self._waiting.values()))
        await cursor.execute(self._statement, [self._asked, since])
        return [Reading(str(row[0]), int(str(row[1])), row[2:]) async for row in cursor]  # type: ignore[arg-type]

    def found(self) -> None:
        """The readings of `find` were taken over."""
        for device_id in self._asked:
            del self._waiting[device_id]
        self._asked = []
