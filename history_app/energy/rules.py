"""Energy from power: what a period's sums say about a house. Pure; energies in kWh, powers in W, times in µs.

A reading stands for the time to the next reading of its device, at most ENERGY_MAX_HOLD_S, and never beyond the
present: its hold. Energy is the sum of power × hold, with positive and negative power apart. So a hole counts as
missing rather than as the last power seen, and `coverage` says how much of the elapsed time is accounted for. A hold
that crosses the edge of a period is cut there; each side counts its part.

Where the tier of a minute answers, which keeps count, positive and negative sums, energy is (positive sum) × (mean
hold): see `mean_hold_s`. What that can differ by: docs/energy.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telemetry.times import SECOND_US, iso_from_us

# What is accounted: the role of the metric, and the sign of the power that counts.
QUANTITIES: Mapping[str, tuple[str, int]] = {
    "imported": ("grid", 1),
    "exported": ("grid", -1),
    "charged": ("battery", 1),
    "discharged": ("battery", -1),
    "generated": ("solar", 1),
    "consumed": ("load", 1),
}
# The highest power of a role, and what its fields are called.
PEAKS: Mapping[str, str] = {"load": "peak", "grid": "peak_import"}
WATTS = {"W": 1.0, "kW": 1e3, "MW": 1e6}
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Peak:
    watts: float
    at: int


@dataclass(frozen=True, slots=True)
class PeriodSums:
    """What one period [low, high) sums up to.

    `covered_s`: the seconds that readings stand for; `kwh`: by quantity, None where nothing was measured;
    `peaks`: by role, None likewise.
    """

    low: int
    high: int
    covered_s: float
    kwh: Mapping[str, float | None]
    peaks: Mapping[str, Peak | None]


def mean_hold_s(count: int, bucket_s: float, max_hold_s: float) -> float:
    """The mean hold, in seconds, of `count` readings in a tier's bucket of `bucket_s`.

    What the readings of a bucket hold together is taken for the whole of it, or count × `max_hold_s` if that is less:
    exact where they are evenly spaced. In a bucket longer than `max_hold_s`, a hole shorter than the bucket counts as
    measured; a shorter bucket cuts off what a reading holds beyond it.
    """
    return min(bucket_s / count, max_hold_s)


def sums_nothing(low: int, high: int) -> PeriodSums:
    """A period without readings."""
    return PeriodSums(low, high, 0.0, dict.fromkeys(QUANTITIES), dict.fromkeys(PEAKS))


def sums_total(periods: Sequence[PeriodSums]) -> PeriodSums:
    """Adjoining periods, at least one, as one."""
    return PeriodSums(
        low=periods[0].low,
        high=periods[-1].high,
        covered_s=sum(period.covered_s for period in periods),
        kwh={name: _sum([period.kwh[name] for period in periods]) for name in QUANTITIES},
        peaks={role: _highest([period.peaks[role] for period in periods]) for role in PEAKS},
    )


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _highest(peaks: Sequence[Peak | None]) -> Peak | None:
    return max((peak for peak in peaks if peak is not None), key=lambda peak: peak.watts, default=None)


def sums_document(sums: PeriodSums, now: int) -> dict[str, Any]:
    """`start`, `end`, `partial`, `coverage`, `<quantity>_kwh`, peaks and their times, and the two shares."""
    elapsed_s = (min(sums.high, now) - sums.low) / SECOND_US
    kwh = sums.kwh
    document: dict[str, Any] = {
        "start": iso_from_us(sums.low),
        "end": iso_from_us(sums.high),
        "partial": sums.high > now,
        "coverage": min(sums.covered_s / elapsed_s, 1.0) if elapsed_s > 0 else None,
        **{f"{name}_kwh": kwh[name] for name in QUANTITIES},
        "self_consumption": _kept(kwh["exported"], kwh["generated"]),
        "self_sufficiency": _kept(kwh["imported"], kwh["consumed"]),
    }
    for role, name in PEAKS.items():
        peak = sums.peaks[role]
        document[f"{name}_w"] = None if peak is None else peak.watts
        document[f"{name}_time"] = None if peak is None else iso_from_us(peak.at)
    return document


def _kept(lost: float | None, whole: float | None) -> float | None:
    """1 − lost ÷ whole, at least 0; None where that is not known.

    Self-consumption is the share of what was generated that was not exported, self-sufficiency the share of what was
    consumed that was not imported.
    """
    if lost is None or not whole:
        return None
    return max(0.0, 1.0 - lost / whole)
