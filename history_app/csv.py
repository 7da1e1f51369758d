"""History as CSV: one line a bucket or reading; the header is `time`, `count`, then the metrics."""

from __future__ import annotations

import csv
from io import StringIO

from history_app.answer import History
from history_app.store.arrays import as_list
from telemetry.times import iso_from_us


def history_csv(history: History) -> str:
    """RFC 4180. Times ISO 8601 with `Z`; a column is `<metric>`, or `<metric>_<agg>` where several are asked for."""
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
