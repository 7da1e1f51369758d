"""Every raw reading of a window, as CSV or NDJSON, gzipped if the client accepts that, in constant memory."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache

from psycopg.sql import SQL, Identifier

from core.catalogue import CATALOGUE
from core.errors import BadRequest
from core.parameters import require_known
from devices_app.access import Access
from history_app.parameters import EXPORT, EXPORT_FORMAT
from history_app.question import question_parse
from history_app.rows import ROW_FORMATS, RowFormat
from history_app.store.scan import scan
from telemetry.catalogue import Metric
from telemetry.ddl import finite, table_of
from telemetry.times import datetime_from_us

GZIP_LEVEL = 3  # beyond that it costs more time than it saves on the wire
_GZIP_WBITS = 31


@dataclass(frozen=True, slots=True)
class Export:
    """The readings to export: those of [start, end), in µs."""

    device_id: str
    start: int
    end: int
    metrics: tuple[Metric, ...]
    row_format: RowFormat

    @property
    def filename(self) -> str:
        """`ems_001_20260615T120000Z_20260616T120000Z.csv`; a device id needs no quoting."""
        start, end = (datetime_from_us(us).strftime("%Y%m%dT%H%M%SZ") for us in (self.start, self.end))
        return f"{self.device_id}_{start}_{end}.{self.row_format.suffix}"


def export_parse(device_id: str, parameters: Mapping[str, str], access: Mapping[str, Access]) -> Export:
    """Check the parameters. Raises `BadRequest` naming the first invalid one."""
    require_known(parameters, EXPORT)
    if "start" not in parameters and "range" not in parameters:
        raise BadRequest("start: say from when, ISO 8601 or epoch milliseconds; or give range, e.g. range=30d.")
    row_format = ROW_FORMATS[EXPORT_FORMAT.parse(parameters.get("format"))]
    question = question_parse(parameters, access)
    start = min(max(question.start, question.since.get(device_id, 0)), question.end)
    return Export(device_id, start, question.end, question.metrics, row_format)


async def export_chunks(
    export: Export, *, gzip: bool, still_allowed: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """Yield the export in chunks, oldest reading first, from one snapshot. Raises `Unavailable`, also midway.

    `still_allowed` is called before each chunk and raises if access was lost meanwhile.
    """
    packer = zlib.compressobj(GZIP_LEVEL, wbits=_GZIP_WBITS) if gzip else None
    pending = export.row_format.header(export.metrics)
    parameters = {
        "device": export.device_id,
        "low": datetime_from_us(export.start),
        "high": datetime_from_us(export.end),
    }
    async with aclosing(scan(_scan_statement(export.metrics), parameters)) as batches:
        async for rows in batches:
            await still_allowed()
            # In a thread: formatting thousands of numbers would delay every other connection.
            pending += await asyncio.to_thread(export.row_format.encode, export.device_id, export.metrics, rows)
            chunk = await asyncio.to_thread(packer.compress, pending) if packer else pending
            pending = b""
            if chunk:
                yield chunk
    yield packer.compress(pending) + packer.flush() if packer else pending


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3). Without one it is not used."""
    weights = dict(_weight(part) for part in accept_encoding.lower().split(","))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(part: str) -> tuple[str, float]:
    coding, _, parameter = part.partition(";")
    name, _, weight = parameter.partition("=")
    try:
        return coding.strip(), float(weight) if name.strip() == "q" else 1.0
    except ValueError:
        return coding.strip(), 0.0


@lru_cache(maxsize=64)
def _scan_statement(metrics: tuple[Metric, ...]) -> bytes:
    return (
        SQL(
            "SELECT (extract(epoch FROM {time}) * 1000000)::bigint, {columns} FROM {table}"
            " WHERE {device} = %(device)s AND {time} >= %(low)s AND {time} < %(high)s ORDER BY {time}"
        )
        .format(
            time=Identifier(CATALOGUE.time),
            device=Identifier(CATALOGUE.device),
            columns=SQL(", ").join(finite(Identifier(metric.column)) for metric in metrics),
            table=table_of(CATALOGUE),
        )
        .as_bytes()
    )
