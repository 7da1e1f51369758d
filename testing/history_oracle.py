"""History by the contract in plain Python: what every answer must equal, whatever the rollup has done."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from history_app.history import History

Values = Sequence[float | None]


def finite(value: float | None) -> float | None:
    """NaN, infinities and numbers beyond ±1e290 count as null."""
    return value if value is not None and abs(value) <= 1e290 else None


def history_expected(readings: Mapping[int, Values], history: History) -> dict[int, tuple[Any, ...]]:
    """By start (µs) of each bucket, or time of each reading: the count, then the aggregates metric by metric."""
    window, question = history.window, history.question
    groups: dict[int, list[Values]] = {}
    for us, values in sorted(readings.items()):
        if window.low <= us < window.high:
            key = us if window.step.is_raw else window.edges[bisect_right(window.edges, us) - 1]
            groups.setdefault(key, []).append(values)
    if window.step.is_raw:  # every aggregate of a reading is the reading itself
        return {
            us: (1, *(finite(value) for value in values for _ in question.aggs)) for us, (values,) in groups.items()
        }
    return {key: _aggregates(rows, len(question.metrics), question.aggs) for key, rows in groups.items()}


def _aggregates(rows: Sequence[Values], metrics: int, aggs: Sequence[str]) -> tuple[Any, ...]:
    found: list[Any] = [len(rows)]
    for index in range(metrics):
        known = [value for row in rows if (value := finite(row[index])) is not None]
        each = {
            "avg": math.fsum(known) / len(known) if known else None,
            "min": min(known, default=None),
            "max": max(known, default=None),
            "count": len(known),
        }
        found += [each[agg] for agg in aggs]
    return tuple(found)


def assert_history_is_exact(readings: Mapping[int, Values], history: History) -> None:
    """`history` was read with `fill=none`; `readings`: by time (µs), the values of the metrics of the question."""
    columns = history.columns
    expected = history_expected(readings, history)
    assert columns.starts.tolist() == list(expected)
    for place, (start, row) in enumerate(expected.items()):
        found = [columns.counts[place], *(column[place] for column in columns.values)]
        for mine, theirs in zip(found, row, strict=True):
            if theirs is None:
                assert math.isnan(mine), (start, found, row)
            else:
                assert math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9), (start, found, row)
    newest = max((us for us in readings if us < history.question.now), default=None)
    assert columns.newest == newest
