"""The load of the simulated house: standby, fridge, cooking, laundry, evening. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.noise import DAY_S, Seconds, generator, hiss, wander

FRIDGE_W = 95.0


@dataclass(frozen=True, slots=True)
class Habit:
    """An appliance that is switched on around the same hour (local solar time) on many days."""

    hour: float
    spread_h: float
    minutes: tuple[int, int]
    watts: tuple[int, int]
    times_a_day: float


HABITS = (
    Habit(hour=7.0, spread_h=0.5, minutes=(3, 5), watts=(1800, 2200), times_a_day=1.5),  # kettle, coffee
    Habit(hour=12.3, spread_h=0.5, minutes=(15, 35), watts=(900, 2200), times_a_day=0.7),  # lunch
    Habit(hour=18.8, spread_h=0.7, minutes=(25, 60), watts=(1200, 3200), times_a_day=1.0),  # dinner
    Habit(hour=10.5, spread_h=2.0, minutes=(15, 25), watts=(1900, 2100), times_a_day=0.6),  # laundry, heating water
    Habit(hour=20.3, spread_h=0.6, minutes=(15, 20), watts=(1900, 2100), times_a_day=0.6),  # dishes
    Habit(hour=14.0, spread_h=4.0, minutes=(2, 6), watts=(600, 1800), times_a_day=3.0),  # microwave, vacuum cleaner
)


def load_power(seed: int, longitude: float, base_w: float, day: int) -> Seconds:
    """Return the load in W for each second of the day; at least a third of the base load."""
    local_h = (np.arange(DAY_S) / 3600 + longitude / 15) % 24
    evening = 380 * np.exp(-(((local_h - 20.2) / 1.9) ** 2)) + 140 * np.exp(-(((local_h - 7.3) / 1.2) ** 2))
    load = base_w * (1 + 0.12 * wander(seed, "standby", day, 900)) + evening + _fridge(seed, day)
    for start, end, watts in _events(seed, longitude, day):
        load[start:end] += watts
    load *= 1 + 0.012 * hiss(seed, "load", day)
    power: Seconds = np.maximum(load, base_w / 3)
    return power


def _fridge(seed: int, day: int) -> Seconds:
    """Return the fridge's power: on for a third of each cycle of 40 to 50 minutes. Cycles continue across midnight."""
    period_s = 2400 + seed % 600
    second = day * DAY_S + np.arange(DAY_S)
    cooling: Seconds = np.where((second + seed) % period_s < period_s // 3, FRIDGE_W, 0.0)
    return cooling


def _events(seed: int, longitude: float, day: int) -> list[tuple[int, int, float]]:
    """Return start second, end second and power of the appliances that run on this day. All of them end by midnight."""
    random = generator(seed, "habits", day)
    events = []
    for habit in HABITS:
        for _ in range(random.poisson(habit.times_a_day)):
            hour = (random.normal(habit.hour, habit.spread_h) - longitude / 15) % 24
            start = int(hour * 3600)
            length = int(random.uniform(*habit.minutes) * 60)
            events.append((start, min(start + length, DAY_S), random.uniform(*habit.watts)))
    return events
