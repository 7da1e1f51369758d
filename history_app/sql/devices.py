"""Statements that ask several devices at once, in one snapshot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg

from history_app.store.connection import Connection


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

    psycopg does this for each execution of a statement longer than 4 kB; a third of the CPU of a response.
    """
    names: dict[bytes, int] = {}
    numbered = re.sub(rb"%\((\w+)\)s", lambda match: b"$%d" % names.setdefault(match[1], len(names) + 1), text)
    return numbered.replace(b"%%", b"%"), tuple(name.decode() for name in names)


@lru_cache(maxsize=512)
def _each_statement(text: bytes) -> bytes:
    """The statement for one device, with a column of the requested devices in place of its device parameter."""
    return (
        b"SELECT answer.* FROM unnest(%(devices)s::text[]) WITH ORDINALITY AS asked(device, place) CROSS JOIN LATERAL ("
        + text.replace(b"%(device)s", b"asked.device")
        + b") AS answer ORDER BY asked.place"
    )
