"""A realistic house, second by second: sun, load, battery and grid; the powers add up. Pure functions.

A device id identifies a house. A second has the same values whether it is generated alone, in a day or in a year: each
UTC day is a function of device id and day. This holds for one version of numpy, whose random numbers may change between
releases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np

from simulator.appliances import load_power
from simulator.battery import LOOK_BACK_DAYS, Battery, midnight
from simulator.noise import DAY_S, Seconds, generator, hiss, wander
from simulator.sun import solar_power

METRICS = (
    "battery_voltage",
    "battery_current",
    "battery_power",
    "battery_soc",
    "grid_voltage",
    "grid_power",
    "grid_frequency",
    "solar_power",
    "load_power",
)
KEPT_DAYS = 2


class House:
    """The house of a device: location, equipment, and its readings on any day."""

    def __init__(self, device_id: str) -> None:
        self.seed = int.from_bytes(hashlib.sha256(device_id.encode()).digest()[:6])
        random = generator(self.seed, "house", 0)
        self.latitude = random.uniform(45, 52)
        self.longitude = random.uniform(6, 14)
        self.peak_w = random.uniform(4_500, 8_000)
        self.base_w = random.uniform(170, 300)
        self.battery = Battery(capacity_wh=random.uniform(7_000, 11_000), limit_w=random.uniform(2_800, 4_500))
        self._minute_gains = lru_cache(maxsize=LOOK_BACK_DAYS + 1)(self._minute_gains_of)
        self.day = lru_cache(maxsize=KEPT_DAYS)(self._day)

    def seconds(self, start_s: int, end_s: int) -> Iterator[tuple[int, Mapping[str, Seconds]]]:
        """Yield the readings in [start, end), whole seconds since 1970-01-01 UTC, in pieces that end at midnight UTC.

        Each piece is its first second and one array per metric, by the names in `METRICS`.
        """
        while start_s < end_s:
            day, first = divmod(start_s, DAY_S)
            last = min(first + end_s - start_s, DAY_S)
            yield start_s, {name: values[first:last] for name, values in self.day(day).items()}
            start_s += last - first

    def _sun_and_load(self, day: int) -> tuple[Seconds, Seconds]:
        """Return sun and load in steps of 0.1 W, so that the rounded powers add up exactly."""
        sun = solar_power(self.seed, self.latitude, self.longitude, self.peak_w, day)
        load = load_power(self.seed, self.longitude, self.base_w, day)
        return sun.round(1), load.round(1)

    def _minute_gains_of(self, day: int) -> list[float]:
        sun, load = self._sun_and_load(day)
        return self.battery.minute_gains(self.battery.wish(sun - load))

    def _day(self, day: int) -> dict[str, Seconds]:
        sun, load = self._sun_and_load(day)
        wished, soc = self.battery.day(self.battery.wish(sun - load), midnight(day, self._minute_gains))
        volts = self.battery.voltage(wished, soc).round(2)
        amperes = (wished / volts).round(2) + 0.0  # changes -0.0 to 0.0
        power = (volts * amperes).round(1)
        grid = (load + power - sun).round(1) + 0.0
        measured = (volts, amperes, power, soc.round(3), self._grid_voltage(day, grid), grid, self._frequency(day))
        return dict(zip(METRICS, (*measured, sun, load), strict=True))

    def _grid_voltage(self, day: int, grid_w: Seconds) -> Seconds:
        """Return about 230 V: lower during consumption, higher during feed-in."""
        slow = 1.6 * wander(self.seed, "grid", day, 1800) + 0.25 * hiss(self.seed, "grid noise", day)
        volts: Seconds = (231.0 + slow - grid_w * 4e-4).round(1)
        return volts

    def _frequency(self, day: int) -> Seconds:
        """Return about 50 Hz, within narrow limits. All houses share one grid; only the meter's noise differs."""
        slow = 0.012 * wander(0, "frequency", day, 300) + 0.006 * wander(0, "frequency", day, 30)
        hertz: Seconds = np.clip(50 + slow + 0.001 * hiss(self.seed, "meter", day), 49.8, 50.2).round(3)
        return hertz
