"""Figures as the JSON of GET /api/energy (fields: docs/energy.md). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from core.fair import in_turn
from history_app.energy.figures import PEAKS, Figures
from history_app.store.arrays import Array, as_list, iso_times

POWER, COUNTER = "power", "counter"
DOCUMENT_UNITS = 2  # of core/fair.py, per period


async def periods_documents(figures: Figures, now: int) -> list[dict[str, Any]]:
    """A document per period, oldest first. Raises `Unavailable`."""
    units = DOCUMENT_UNITS * len(figures.low)
    return await in_turn(lambda: _documents(figures, now), units=units)


def _documents(figures: Figures, now: int) -> list[dict[str, Any]]:
    periods = len(figures.low)
    coverage = _coverage(figures)
    least = np.fmin.reduce([np.full(periods, np.nan), *coverage.values()])
    least = np.where(figures.elapsed_s > 0, np.where(np.isnan(least), 0.0, least), np.nan)
    sources = {name: _sources(values, figures.is_counter[name]) for name, values in figures.kwh.items()}
    columns: dict[str, Iterable[Any]] = {
        "start": iso_times(figures.low),
        "end": iso_times(figures.high),
        "partial": (figures.high > now).tolist(),
        "coverage": as_list(least),
        "coverage_by_metric": _known_by_name(coverage),
        **{f"{name}_kwh": as_list(values) for name, values in figures.kwh.items()},
        "self_consumption": as_list(_kept(figures.kwh["exported"], figures.kwh["generated"])),
        "self_sufficiency": as_list(_kept(figures.kwh["imported"], figures.kwh["consumed"])),
        **_peaks(figures),
        "source": [COUNTER if COUNTER in found else POWER for found in zip(*sources.values(), strict=True)],
        "sources": [dict(zip(sources, found, strict=True)) for found in zip(*sources.values(), strict=True)],
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _sources(kwh: Array, is_counter: Array) -> list[str | None]:
    """What gave a figure, None where there is none."""
    return [
        None if value != value else COUNTER if counted else POWER
        for value, counted in zip(kwh.tolist(), is_counter.tolist(), strict=True)
    ]


def _known_by_name(columns: Mapping[str, Array]) -> list[dict[str, float]]:
    """Of each period, the values that are not NaN."""
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{name: value for name, value in zip(columns, row, strict=True) if value == value} for row in rows]


def _peaks(figures: Figures) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for role, name in PEAKS.items():
        watts = as_list(figures.peak_w[role])
        times = iso_times(np.where(np.isnan(figures.peak_w[role]), 0, figures.peak_at[role]))
        columns[f"{name}_w"] = watts
        columns[f"{name}_time"] = [None if value is None else time for value, time in zip(watts, times, strict=True)]
    return columns


def _coverage(figures: Figures) -> dict[str, Array]:
    """The share of the elapsed time that each metric covers, NaN where it does not report."""
    elapsed = np.where(figures.elapsed_s > 0, figures.elapsed_s, np.nan)
    return {name: np.minimum(held / elapsed, 1.0) for name, held in figures.held_s.items()}


def _kept(lost: Array, whole: Array) -> Array:
    """1 − lost ÷ whole, at least 0; NaN where that is not known.

    Self-consumption is the share of what was generated that was not exported, self-sufficiency the share of what was
    consumed that was not imported.
    """
    share: Array = np.maximum(0.0, 1.0 - lost / np.where(whole > 0, whole, np.nan))
    return share
