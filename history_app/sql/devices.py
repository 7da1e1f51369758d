"""Statements over many devices at once: what is asked of one device, asked of each of a list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from history_app.query_metrics import query
from history_app.store.pool import Connection
from telemetry.ddl import table_of
from telemetry.reading import Reading


async def fetch_latest(connection: Connection, device_ids: Sequence[str]) -> dict[str, Reading]:
    """The newest stored reading of each device; those without one are left out."""
    cursor = connection.cursor(binary=True)
    with query("latest"):
        await cursor.execute(_latest_statement(), {"devices": list(device_ids)})
    return {device_id: Reading(device_id, us, tuple(values)) for device_id, us, *values in await cursor.fetchall()}


async def fetch_each(
    connection: Connection, device_ids: Sequence[str], text: bytes, parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """The one row that `text`, a statement with a parameter `device`, gives for each device, in their order.

    One statement however many there are, so one snapshot.
    """
    cursor = connection.cursor(binary=True)
    if len(device_ids) == 1:
        await cursor.execute(text, {**parameters, "device": device_ids[0]})
    else:
        await cursor.execute(_each_statement(text), {**parameters, "devices": list(device_ids)})
    return await cursor.fetchall()


@lru_cache(maxsize=512)
def _each_statement(text: bytes) -> bytes:
    """The statement for one device with a column of the devices asked for in place of its device parameter."""
    return (
        b"SELECT answer.* FROM unnest(%(devices)s::text[]) WITH ORDINALITY AS asked(device, place) CROSS JOIN LATERAL ("
        + text.replace(b"%(device)s", b"asked.device")
        + b") AS answer ORDER BY asked.place"
    )


@lru_cache(maxsize=1)
def _latest_statement() -> bytes:
    return (
        SQL(
            "SELECT asked.device, newest.* FROM unnest(%(devices)s::text[]) AS asked(device) CROSS JOIN LATERAL"
            " (SELECT (extract(epoch FROM {time}) * 1000000)::bigint, {columns} FROM {table}"
            " WHERE {device} = asked.device ORDER BY {time} DESC LIMIT 1) AS newest"
        )
        .format(
            time=Identifier(CATALOGUE.time),
            device=Identifier(CATALOGUE.device),
            columns=SQL(", ").join(Identifier(metric.column) for metric in CATALOGUE.metrics),
            table=table_of(CATALOGUE),
        )
        .as_bytes()
    )
