"""Figures as the JSON of GET /api/energy (fields: docs/energy.md). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from core.fair import in_turn
from history_app.energy.figures import PEAKS, Figures
from history_app.store.arrays import Array, as_list
from telemetry.times import iso_from_us

POWER, COUNTER = "power", "counter"
DOCUMENT_UNITS = 2  # of core/fair.py, per period


async def periods_documents(figures: Figures, now: int) -> list[dict[str, Any]]:
    """A document per period, oldest first. Raises `Unavailable`."""
    units = DOCUMENT_UNITS * len(figures.low)
    return await in_turn(lambda: list(_documents(figures, now)), units=units)


def _documents(figures: Figures, now: int) -> Iterator[dict[str, Any]]:
    kwh = {name: as_list(values) for name, values in figures.kwh.items()}
    shares = {
        "self_consumption": as_list(_kept(figures.kwh["exported"], figures.kwh["generated"])),
        "self_sufficiency": as_list(_kept(figures.kwh["imported"], figures.kwh["consumed"])),
    }
    by_metric = {name: as_list(share) for name, share in _coverage(figures).items()}
    elapsed = figures.elapsed_s.tolist()
    is_counter = {name: flags.tolist() for name, flags in figures.is_counter.items()}
    peaks = {name: (as_list(figures.peak_w[role]), figures.peak_at[role].tolist()) for role, name in PEAKS.items()}
    for index, (low, high) in enumerate(zip(figures.low.tolist(), figures.high.tolist(), strict=True)):
        energies = {name: values[index] for name, values in kwh.items()}
        coverage = {name: share for name, values in by_metric.items() if (share := values[index]) is not None}
        sources = {
            name: None if energies[name] is None else COUNTER if flags[index] else POWER
            for name, flags in is_counter.items()
        }
        yield {
            "start": iso_from_us(low),
            "end": iso_from_us(high),
            "partial": high > now,
            "coverage": min(coverage.values(), default=0.0) if elapsed[index] else None,
            "coverage_by_metric": coverage,
            **{f"{name}_kwh": value for name, value in energies.items()},
            **{name: values[index] for name, values in shares.items()},
            **_peak_fields(peaks, index),
            "source": COUNTER if COUNTER in sources.values() else POWER,
            "sources": sources,
        }


def _peak_fields(peaks: Mapping[str, tuple[Sequence[float | None], Sequence[int]]], index: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, (watts, at) in peaks.items():
        fields[f"{name}_w"] = watts[index]
        fields[f"{name}_time"] = None if watts[index] is None else iso_from_us(at[index])
    return fields


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
