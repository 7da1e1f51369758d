"""Readings as text, row by row: CSV and NDJSON. A row is µs since the epoch, then a value for each metric."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import orjson

from telemetry.catalogue import Metric
from telemetry.times import iso_from_us

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How rows are written: `header` once before them, `encode` for each batch (device id, metrics, rows)."""

    suffix: str
    content_type: str
    header: Callable[[Sequence[Metric]], bytes]
    encode: Callable[[str, Sequence[Metric], Sequence[Row]], bytes]


def csv_header(metrics: Sequence[Metric]) -> bytes:
    return _csv_lines([("time", *(metric.name for metric in metrics))])


def csv_encode(device_id: str, metrics: Sequence[Metric], rows: Sequence[Row]) -> bytes:
    """RFC 4180, one line per reading: `time` in ISO 8601 with `Z`, then the metrics; a missing value is empty."""
    return _csv_lines([(iso_from_us(us), *values) for us, *values in rows])


def ndjson_encode(device_id: str, metrics: Sequence[Metric], rows: Sequence[Row]) -> bytes:
    """One reading per line, in the flat form of contract section 2."""
    keys = ("device_id", "time", *(metric.name for metric in metrics))
    return b"".join(
        orjson.dumps(dict(zip(keys, (device_id, iso_from_us(us), *values), strict=True)), option=_NEWLINE)
        for us, *values in rows
    )


_NEWLINE = orjson.OPT_APPEND_NEWLINE


def _csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


ROW_FORMATS: Mapping[str, RowFormat] = {
    "csv": RowFormat("csv", "text/csv; charset=utf-8", csv_header, csv_encode),
    "ndjson": RowFormat("ndjson", "application/x-ndjson", lambda _: b"", ndjson_encode),
}
