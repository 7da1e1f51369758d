"""The figures of a house from what its metrics sum up to: kWh by quantity, peaks, coverage. Pure; columns by period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.catalogue import CATALOGUE
from history_app.energy.rows import Rows
from history_app.energy.statements import IS_COUNTER, METRICS
from history_app.energy.stitch import PeriodSums, stitch
from history_app.store.arrays import Array
from telemetry.times import SECOND_US


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure of the house: the role and direction of its power metric, and the role of its counter."""

    power_role: str
    is_positive: bool
    counter_role: str


QUANTITIES: Mapping[str, Quantity] = {
    "imported": Quantity("grid", True, "grid_import"),
    "exported": Quantity("grid", False, "grid_export"),
    "charged": Quantity("battery", True, "battery_charge"),
    "discharged": Quantity("battery", False, "battery_discharge"),
    "generated": Quantity("solar", True, "solar"),
    "consumed": Quantity("load", True, "load"),
}
# The highest power of a role, and the name of its fields.
PEAKS: Mapping[str, str] = {"load": "peak", "grid": "peak_import"}
_KWH_OF_UNIT = {
    "W": 1 / 3.6e6, "kW": 1e3 / 3.6e6, "MW": 1e6 / 3.6e6, "Wh": 1e-3, "kWh": 1.0, "MWh": 1e3,
}  # fmt: skip
_WATTS_OF_UNIT = {"W": 1.0, "kW": 1e3, "MW": 1e6}


@dataclass(frozen=True, slots=True)
class Figures:
    """Columns by period.

    `low`, `high`: µs. `elapsed_s`: until the present. `kwh`: by quantity, NaN where nothing was measured. `is_counter`:
    by quantity, whether a counter gave the figure. `held_s`: by metric, NaN where it does not report. `peak_w` and
    `peak_at` (µs): by role, NaN where nothing was measured.
    """

    low: Array
    high: Array
    elapsed_s: Array
    kwh: Mapping[str, Array]
    is_counter: Mapping[str, Array]
    held_s: Mapping[str, Array]
    peak_w: Mapping[str, Array]
    peak_at: Mapping[str, Array]


def figures_of(rows: Rows, edges: Array, now: int) -> Figures:
    """The figures of the periods between `edges` (µs), from the rows of all metrics (`fetch_rows`)."""
    found = stitch(rows, edges, now, IS_COUNTER)
    sums = {metric.name: one for metric, one in zip(METRICS, found, strict=True)}
    low, high = edges[:-1], edges[1:]
    kwh = {name: _kwh(sums, quantity, len(low)) for name, quantity in QUANTITIES.items()}
    peaks = {role: _peak(sums, role, len(low)) for role in PEAKS}
    return Figures(
        low,
        high,
        elapsed_s=np.maximum(np.minimum(high, now) - low, 0) / SECOND_US,
        kwh={name: values for name, (values, _) in kwh.items()},
        is_counter={name: is_counter for name, (_, is_counter) in kwh.items()},
        held_s={name: _where_reported(found) for name, found in sums.items()},
        peak_w={role: watts for role, (watts, _) in peaks.items()},
        peak_at={role: at for role, (_, at) in peaks.items()},
    )


def figures_total(figures: Figures) -> Figures:
    """All periods as one."""
    return Figures(
        figures.low[:1],
        figures.high[-1:],
        elapsed_s=figures.elapsed_s.sum(keepdims=True),
        kwh=_sums(figures.kwh),
        is_counter={
            name: np.asarray((figures.is_counter[name] | np.isnan(values)).all(keepdims=True))
            for name, values in figures.kwh.items()
        },
        held_s=_sums(figures.held_s),
        **_highest_of(figures),
    )


def figures_together(devices: Sequence[Figures]) -> Figures:
    """The figures of several devices, at least one, over the same periods, added up.

    The coverage of a metric is that of the device with the least. The highest power of several devices together is
    unknown: their peaks may have different times.
    """
    first = devices[0]
    unknown = np.full(len(first.low), np.nan)
    return Figures(
        first.low,
        first.high,
        first.elapsed_s,
        kwh={name: _sum([one.kwh[name] for one in devices], axis=0) for name in QUANTITIES},
        is_counter={
            name: np.asarray(np.all([one.is_counter[name] | np.isnan(one.kwh[name]) for one in devices], axis=0))
            for name in QUANTITIES
        },
        held_s={name: np.fmin.reduce([one.held_s[name] for one in devices]) for name in first.held_s},
        peak_w=dict.fromkeys(PEAKS, unknown),
        peak_at=dict.fromkeys(PEAKS, first.low),
    )


def _kwh(sums: Mapping[str, PeriodSums], quantity: Quantity, periods: int) -> tuple[Array, Array]:
    """kWh by period, and whether a counter gave them: wherever one did, its increase is the figure."""
    kwh = np.full(periods, np.nan)
    is_counter = np.zeros(periods, dtype=bool)
    if power := CATALOGUE.by_role.get(quantity.power_role):
        found = sums[power.name]
        watt_seconds = found.positive if quantity.is_positive else found.negative
        kwh = np.where(found.held_s > 0, watt_seconds * _KWH_OF_UNIT[power.unit], np.nan)
    if counter := CATALOGUE.by_counter_role.get(quantity.counter_role):
        found = sums[counter.name]
        is_counter = found.held_s > 0
        kwh = np.where(is_counter, found.positive * _KWH_OF_UNIT[counter.unit], kwh)
    return kwh, is_counter


def _peak(sums: Mapping[str, PeriodSums], role: str, periods: int) -> tuple[Array, Array]:
    """W and µs."""
    metric = CATALOGUE.by_role.get(role)
    if metric is None:
        return np.full(periods, np.nan), np.zeros(periods, dtype=np.int64)
    return sums[metric.name].highest * _WATTS_OF_UNIT[metric.unit], sums[metric.name].highest_time


def _where_reported(sums: PeriodSums) -> Array:
    held: Array = np.where((sums.held_s > 0) | ~np.isnan(sums.highest), sums.held_s, np.nan)
    return held


def _sums(columns: Mapping[str, Array]) -> dict[str, Array]:
    """The sum of each column, as an array of length 1."""
    if not columns:
        return {}
    found = _sum(list(columns.values()), axis=1)
    return {name: found[place : place + 1] for place, name in enumerate(columns)}


def _sum(values: Sequence[Array], *, axis: int) -> Array:
    """The sums along an axis of what is known; NaN where nothing is."""
    table = np.array(values)
    unknown = np.isnan(table)
    total: Array = np.where(unknown.all(axis=axis), np.nan, np.where(unknown, 0.0, table).sum(axis=axis))
    return total


def _highest_of(figures: Figures) -> dict[str, Mapping[str, Array]]:
    """`peak_w` and `peak_at` of all periods as one; the first of equals."""
    place = {role: 0 if np.isnan(watts).all() else int(np.nanargmax(watts)) for role, watts in figures.peak_w.items()}
    return {
        "peak_w": {role: watts[place[role] : place[role] + 1] for role, watts in figures.peak_w.items()},
        "peak_at": {role: at[place[role] : place[role] + 1] for role, at in figures.peak_at.items()},
    }
