"""Noise for the simulated house: deterministic by seed and day, and smooth across midnight. Pure functions."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400

Seconds = NDArray[np.float64]  # one value for each second of a UTC day


def generator(seed: int, stream: str, day: int) -> np.random.Generator:
    """Return the random generator of a UTC day (days since 1970-01-01), independent of other days and streams."""
    return np.random.default_rng([seed, zlib.crc32(stream.encode()), day])


def wander(seed: int, stream: str, day: int, period_s: int) -> Seconds:
    """Return smooth noise with mean 0 and standard deviation about 1.

    Its target changes every `period_s`, a divisor of a day.
    """
    count = DAY_S // period_s
    tomorrow = generator(seed, stream, day + 1).standard_normal(1)
    points = np.concatenate([generator(seed, stream, day).standard_normal(count), tomorrow])
    eased = (1 - np.cos(np.pi * np.arange(period_s) / period_s)) / 2
    return (points[:-1, None] + np.diff(points)[:, None] * eased).reshape(DAY_S)


def hiss(seed: int, stream: str, day: int) -> Seconds:
    """Return white noise with mean 0 and standard deviation 1."""
    return generator(seed, stream, day).standard_normal(DAY_S, dtype=np.float32).astype(np.float64)
