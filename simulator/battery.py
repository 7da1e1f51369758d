"""The battery of the simulated house: charged from what the sun gives too much, discharged to cover the rest. Pure.

Its state at midnight is a function of the day alone, with no chain back to the beginning of time: a battery that has
been full, or empty, no longer knows how it was charged before. So run through the days before from both extremes at
once; where both end at the same level, that is the level whatever came before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.noise import DAY_S, Seconds

EMPTY, FULL = 10.0, 95.0  # %, the limits that the control keeps to
TAPER = 5.0  # %, below full, over which charging gets slower
SLOWEST = 0.1
EFFICIENCY = 0.96  # each way
RESISTANCE = 0.018  # Ω
MINUTE_S = 60
LOOK_BACK_DAYS = 40


@dataclass(frozen=True, slots=True)
class Battery:
    """Its size, and how fast it may be charged and discharged."""

    capacity_wh: float
    limit_w: float

    def wish(self, surplus_w: Seconds) -> Seconds:
        """The power into the battery that would bring the grid to 0, within the limits, were it never full or empty."""
        wished: Seconds = np.clip(surplus_w, -self.limit_w, self.limit_w)
        return wished

    def gain(self, power_w: Seconds) -> Seconds:
        """Change of the state of charge, in %, by each second of `power_w`, losses included."""
        stored = np.where(power_w > 0, power_w * EFFICIENCY, power_w / EFFICIENCY)
        change: Seconds = stored * (100 / 3600 / self.capacity_wh)
        return change

    def minute_gains(self, wish_w: Seconds) -> list[float]:
        """What each minute would change the state of charge by, in %, if the wish came true."""
        sums: list[float] = self.gain(wish_w).reshape(DAY_S // MINUTE_S, MINUTE_S).sum(axis=1).tolist()
        return sums

    def day(self, wish_w: Seconds, soc: float) -> tuple[Seconds, Seconds]:
        """Power (W, + charging) and state of charge (%, at the beginning of each second) from `soc` at midnight on."""
        shares, _ = follow(self.minute_gains(wish_w), soc)
        share = np.repeat(shares, MINUTE_S)
        charge = np.cumsum(self.gain(wish_w) * share)
        return wish_w * share, soc + np.concatenate([[0.0], charge[:-1]])

    def voltage(self, power_w: Seconds, soc: Seconds) -> Seconds:
        """Terminal voltage of 16 LFP cells: rises with the charge and with the current, U = U0 + R·P/U."""
        share = soc / 100
        open_circuit = 50.6 + 2.6 * share + 1.2 * share**8 - 1.6 * (1 - share) ** 8
        volts: Seconds = (open_circuit + np.sqrt(open_circuit**2 + 4 * RESISTANCE * power_w)) / 2
        return volts


def follow(gains: list[float], soc: float) -> tuple[list[float], float]:
    """The share of each minute's wished gain (%) that the battery takes or gives, and the state of charge at the end.

    Full and empty are reached exactly: two states that meet there stay equal to the last bit.
    """
    shares = []
    for gain in gains:
        share = max(SLOWEST, min(1.0, (FULL - soc) / TAPER)) if gain > 0 else 1.0
        after = soc + gain * share
        if not EMPTY <= after <= FULL:
            bound = FULL if gain > 0 else EMPTY
            share, after = (bound - soc) / gain, bound
        shares.append(share)
        soc = after
    return shares, soc


def midnight(day: int, minute_gains: Callable[[int], list[float]]) -> float:
    """State of charge at the beginning of `day`, from the gains of as many days before it as it takes."""
    low = EMPTY
    for first in range(day - 1, day - 1 - LOOK_BACK_DAYS, -1):
        low, high = EMPTY, FULL
        for earlier in range(first, day):
            low, high = follow(minute_gains(earlier), low)[1], follow(minute_gains(earlier), high)[1]
        if low == high:
            break
    return low
