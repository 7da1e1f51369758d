"""The sun over the simulated house: elevation by location, season and hour, and clouds. Pure functions."""

from __future__ import annotations

import numpy as np

from simulator.noise import DAY_S, Seconds, wander

YEAR_DAYS = 365.2422
TILT_OF_EARTH = np.radians(23.44)
SOLSTICE_DAY = 10  # winter solstice, in days before 1 January
DARKEST = 0.8  # share of the light that the thickest cloud absorbs


def sun_height(latitude: float, longitude: float, day: int) -> Seconds:
    """Return the sine of the sun's elevation for each second; negative at night. Arguments in degrees.

    sin h = sin φ sin δ + cos φ cos δ cos t, with declination δ and hour angle t.
    """
    phi = np.radians(latitude)
    delta = -TILT_OF_EARTH * np.cos(2 * np.pi * (day + SOLSTICE_DAY) / YEAR_DAYS)
    hour_angle = 2 * np.pi * (np.arange(DAY_S) / DAY_S + longitude / 360 - 0.5)
    height: Seconds = np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.cos(hour_angle)
    return height


def solar_power(seed: int, latitude: float, longitude: float, peak_w: float, day: int) -> Seconds:
    """Return the power of the panels in W: 0 at night, `peak_w` under the highest clear sun."""
    height = np.maximum(sun_height(latitude, longitude, day), 0)
    weather = wander(seed, "weather", day, DAY_S // 2)  # clear and dull half days
    passing = wander(seed, "clouds", day, 1200) + 0.5 * wander(seed, "wisps", day, 120)
    shade = DARKEST / (1 + np.exp(-3 * (weather + 0.7 * passing - 0.3)))
    power: Seconds = peak_w * height**1.15 * (1 - shade)
    return power
