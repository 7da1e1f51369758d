"""History as documents: JSON (contract section 3) and CSV, with the tag that identifies the contents."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any
from zlib import adler32, crc32

import orjson

from history_app.history import History
from history_app.store.arrays import as_list
from telemetry.times import iso_from_us


@dataclass(frozen=True, slots=True)
class Document:
    """An encoded response. `etag` is weak: responses with the same tag may differ in the cursor of a closed window."""

    body: bytes
    content_type: str
    etag: str


def history_encode(history: History, answer_format: str) -> Document:
    """Encode as `json` or `csv`. The tag is a checksum of the contents, so every change of the contents changes it.

    In a closed window the tag omits the cursor and the reach: they move with every reading although nothing in the
    window has changed.
    """
    if answer_format == "csv":
        body = history_csv(history).encode()
        return Document(body, "text/csv; charset=utf-8", _tag(body))
    body = json_encode({**_window_fields(history), **_device_fields(history)})
    return Document(body, "application/json", _tag(_without_newest(body, history)))


def histories_encode(histories: Sequence[History]) -> bytes:
    """JSON: the fields that the devices share, and under `devices` the others of each, in the order of the request."""
    return json_encode({**_window_fields(histories[0]), "devices": [_device_fields(history) for history in histories]})


def json_encode(document: Any) -> bytes:
    """JSON in UTF-8; numpy arrays are lists, NaN is null."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def history_csv(history: History) -> str:
    """RFC 4180: one line per bucket or reading after the header `time`, `count` and the metrics.

    Times are ISO 8601 with `Z`. A column is `<metric>`, or `<metric>_<agg>` for several aggregates; null is empty.
    """
    question, columns = history.question, history.columns
    names = [
        metric.name if len(question.aggs) == 1 else f"{metric.name}_{agg}"
        for metric in question.metrics
        for agg in question.aggs
    ]
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(["time", "count", *names])
    times = map(iso_from_us, columns.starts.tolist())
    writer.writerows(zip(times, columns.counts.tolist(), *map(as_list, columns.values), strict=True))
    return text.getvalue()


def _window_fields(history: History) -> dict[str, Any]:
    question, window = history.question, history.window
    return {
        "start": iso_from_us(window.low),
        "end": iso_from_us(window.high),
        "resolution": window.step.name,
        "resolution_seconds": window.step.resolution_seconds,
        "tz": window.zone.key,
        "partial_last": not window.step.is_raw and window.high > question.now,
    }


def _device_fields(history: History) -> dict[str, Any]:
    question, columns = history.question, history.columns
    values = iter(columns.values)
    return {
        "device_id": history.device_id,
        "source": history.source,
        "points": len(columns.starts),
        "cursor": None if columns.newest is None else iso_from_us(columns.newest),
        "reach_s": history.reach_s,
        "time": columns.starts // 1000,
        "count": columns.counts,
        "metrics": {
            metric.name: {"unit": metric.unit, **{agg: next(values) for agg in question.aggs}}
            for metric in question.metrics
        },
    }


def _without_newest(body: bytes, history: History) -> bytes:
    """The part of a JSON document that its tag covers. A null cursor stays: the device has no reading at all."""
    newest = history.columns.newest
    if newest is None or history.question.is_live or history.window.high > history.question.now:
        return body
    begin = body.index(b'"cursor":')
    return body[:begin] + body[body.index(b'"time":', begin) :]


def _tag(content: bytes) -> str:
    """Two checksums and the length. A cryptographic hash costs five times as much and would protect nothing: to forge
    a match, a user would have to write readings of a device that the user may already see."""
    return f'W/"{crc32(content):08x}{adler32(content):08x}{len(content):x}"'
