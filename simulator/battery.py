"""The battery of the simulated house: charges from the solar surplus, discharges to cover the load. Pure functions.

Its state at midnight is a function of the day alone, without a chain back to the first day: once a battery has been
full or empty, its earlier state no longer matters. The simulation therefore runs through the preceding days from both
extremes at once; where both reach the same level, that level is correct for every earlier state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.noise import DAY_S, Seconds

EMPTY, FULL = 10.0, 95.0  # %, the limits of the controller
TAPER = 5.0  # %, below full, where charging slows down
SLOWEST = 0.1
EFFICIENCY = 0.96  # per direction
RESISTANCE = 0.018  # Ω
MINUTE_S = 60
LOOK_BACK_DAYS = 40


@dataclass(frozen=True, slots=True)
class Battery:
    """Capacity, and power limit for charging and discharging."""

    capacity_wh: float
    limit_w: float

    def wish(self, surplus_w: Seconds) -> Seconds:
        """Return the power into the battery that balances the grid, within the power limit; ignores full and empty."""
        wished: Seconds = np.clip(surplus_w, -self.limit_w, self.limit_w)
        return wished

    def gain(self, power_w: Seconds) -> Seconds:
        """Return the change of the state of charge, in %, for each second of `power_w`, including losses."""
        stored = np.where(power_w > 0, power_w * EFFICIENCY, power_w / EFFICIENCY)
        change: Seconds = stored * (100 / 3600 / self.capacity_wh)
        return change

    def minute_gains(self, wish_w: Seconds) -> list[float]:
        """Return the change of the state of charge, in %, for each minute at the wished power."""
        sums: list[float] = self.gain(wish_w).reshape(DAY_S // MINUTE_S, MINUTE_S).sum(axis=1).tolist()
        return sums

    def day(self, wish_w: Seconds, soc: float) -> tuple[Seconds, Seconds]:
        """Return power (W, positive: charging) and state of charge (%, at the start of each second) for a day.

        `soc`: the state of charge at midnight.
        """
        shares, _ = follow(self.minute_gains(wish_w), soc)
        share = np.repeat(shares, MINUTE_S)
        charge = np.cumsum(self.gain(wish_w) * share)
        return wish_w * share, soc + np.concatenate([[0.0], charge[:-1]])

    def voltage(self, power_w: Seconds, soc: Seconds) -> Seconds:
        """Return the terminal voltage of 16 LFP cells. It rises with charge and current: U = U0 + R·P/U."""
        share = soc / 100
        open_circuit = 50.6 + 2.6 * share + 1.2 * share**8 - 1.6 * (1 - share) ** 8
        volts: Seconds = (open_circuit + np.sqrt(open_circuit**2 + 4 * RESISTANCE * power_w)) / 2
        return volts


def follow(gains: list[float], soc: float) -> tuple[list[float], float]:
    """Return the share of each minute's wished gain (%) that the battery accepts, and the final state of charge.

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
    """Return the state of charge at the start of `day`, from the gains of as many preceding days as necessary."""
    low = EMPTY
    for first in range(day - 1, day - 1 - LOOK_BACK_DAYS, -1):
        low, high = EMPTY, FULL
        for earlier in range(first, day):
            low, high = follow(minute_gains(earlier), low)[1], follow(minute_gains(earlier), high)[1]
        if low == high:
            break
    return low
