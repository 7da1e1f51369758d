"""Statements that ask several devices at once, in one snapshot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from history_app.sql.names import TIME_US, moment, newest_rows
from history_app.store.pool import Connection
from telemetry.cadence import READINGS_FOR_REACH
from telemetry.ddl import finite
from telemetry.reading import Reading


async def fetch_each(
    connection: Connection, device_ids: Sequence[str], text: bytes, parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """The one row that `text`, a statement with the parameter `device`, gives for each device, in their order.

    It is one statement for any number of devices, so one snapshot.
    """
    if len(device_ids) == 1:
        parameters = {**parameters, "device": device_ids[0]}
    else:
        text, parameters = _each_statement(text), {**parameters, "devices": list(device_ids)}
    numbered, names = _numbered(text)
    cursor = psycopg.AsyncRawCursor(connection)
    await cursor.execute(numbered, [parameters[name] for name in names], binary=True)
    return await cursor.fetchall()


@lru_cache(maxsize=1024)
def _numbered(text: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The statement with `$1` … for its named parameters, and their names in that order.

    psycopg does this for each execution of a statement longer than 4 kB; that would be a third of the CPU of an answer.
    """
    names: dict[bytes, int] = {}
    numbered = re.sub(rb"%\((\w+)\)s", lambda match: b"$%d" % names.setdefault(match[1], len(names) + 1), text)
    return numbered.replace(b"%%", b"%"), tuple(name.decode() for name in names)


async def fetch_latest(connection: Connection, device_ids: Sequence[str], now: int) -> dict[str, list[Reading]]:
    """The newest stored readings of each device, newest first, as many as the reach needs.

    Readings ahead of `now` (µs) count only for a device that has no others. Devices without a reading are left out.
    """
    found = await _fetch_latest(connection, device_ids, now)
    ahead = [device_id for device_id in device_ids if device_id not in found]
    return found | await _fetch_latest(connection, ahead, None) if ahead else found


async def _fetch_latest(
    connection: Connection, device_ids: Sequence[str], until: int | None
) -> dict[str, list[Reading]]:
    cursor = connection.cursor(binary=True)
    parameters = {"devices": list(device_ids), "now": None if until is None else moment(until)}
    await cursor.execute(_latest_statement(), parameters)
    found: dict[str, list[Reading]] = {}
    for device_id, us, *values in await cursor.fetchall():
        found.setdefault(device_id, []).append(Reading(device_id, us, tuple(values)))
    return found


@lru_cache(maxsize=512)
def _each_statement(text: bytes) -> bytes:
    """The statement for one device, with a column of the requested devices in place of its device parameter."""
    return (
        b"SELECT answer.* FROM unnest(%(devices)s::text[]) WITH ORDINALITY AS asked(device, place) CROSS JOIN LATERAL ("
        + text.replace(b"%(device)s", b"asked.device")
        + b") AS answer ORDER BY asked.place"
    )


@lru_cache(maxsize=1)
def _latest_statement() -> bytes:
    """Rows `(device, µs, values …)`, newest first within a device."""
    columns = [finite(Identifier(metric.column)) for metric in CATALOGUE.metrics]
    newest = newest_rows(
        [SQL("{} AS us").format(TIME_US), *columns],
        where=" AND {time} <= coalesce(%(now)s::timestamptz, 'infinity')",
        limit=READINGS_FOR_REACH,
    )
    text = SQL(
        "SELECT asked.device, newest.* FROM unnest(%(devices)s::text[]) AS asked(device)"
        " CROSS JOIN LATERAL ({}) AS newest"
    )
    return text.format(newest).as_bytes().replace(b"%(device)s", b"asked.device")
