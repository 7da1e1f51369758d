"""The house: realistic, consistent powers, and deterministic."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from simulator.battery import EFFICIENCY, EMPTY, FULL
from simulator.house import METRICS, House
from simulator.noise import DAY_S
from simulator.sun import sun_height
from telemetry.catalogue import DEFAULT_PATH, catalogue_load

WINTER, SUMMER = 20_445, 20_625  # 2025-12-23 and 2026-06-21
DAYS = (WINTER, 20_530, SUMMER, 20_710)
DEVICES = ("ems_001", "ems_002", "another-house")

each_day = pytest.mark.parametrize("day", DAYS)
each_device = pytest.mark.parametrize("device_id", DEVICES)


@each_device
@each_day
def test_powers_add_up(device_id: str, day: int) -> None:
    now = House(device_id).day(day)
    assert set(now) == set(METRICS)
    balance = now["load_power"] + now["battery_power"] - now["solar_power"] - now["grid_power"]
    assert np.abs(balance).max() < 1e-6
    off = now["battery_power"] - now["battery_voltage"] * now["battery_current"]
    assert np.abs(off).max() <= 0.051


@each_device
@each_day
def test_the_charge_integrates_the_power_within_its_bounds(device_id: str, day: int) -> None:
    house = House(device_id)
    now = house.day(day)
    soc, power = now["battery_soc"], now["battery_power"]
    assert soc.min() >= EMPTY - 1.5
    assert soc.max() <= FULL + 1.5
    gained = np.where(power > 0, power * EFFICIENCY, power / EFFICIENCY).cumsum() / 36 / house.battery.capacity_wh
    assert np.abs(soc[1:] - soc[0] - gained[:-1]).max() < 0.1


@each_device
@each_day
def test_the_battery_keeps_the_grid_at_zero_as_long_as_it_can(device_id: str, day: int) -> None:
    house = House(device_id)
    now = house.day(day)
    surplus = now["solar_power"] - now["load_power"]
    can = (now["battery_soc"] > EMPTY + 2) & (now["battery_soc"] < FULL - 6) & (np.abs(surplus) < house.battery.limit_w)
    assert can.any()
    assert np.abs(now["grid_power"][can]).max() < 1.0  # the current has steps of 0.01 A


@each_device
@each_day
def test_there_is_solar_power_only_by_day(device_id: str, day: int) -> None:
    house = House(device_id)
    height, sun = sun_height(house.latitude, house.longitude, day), house.day(day)["solar_power"]
    assert (sun[height <= 0] == 0).all()
    assert sun[height > 0.05].min() > 0
    assert sun.max() < house.peak_w


@each_device
def test_summer_has_more_solar_energy_than_winter(device_id: str) -> None:
    house = House(device_id)
    week_kwh = [sum(house.day(first + n)["solar_power"].sum() / 3.6e6 for n in range(7)) for first in (WINTER, SUMMER)]
    assert week_kwh[1] > 2 * week_kwh[0] > 0


@each_device
@each_day
def test_values_are_realistic(device_id: str, day: int) -> None:
    now = House(device_id).day(day)
    assert now["load_power"].min() > 30
    assert 4 < now["load_power"].sum() / 3.6e6 < 30  # kWh
    assert 45 < now["battery_voltage"].min() < now["battery_voltage"].max() < 58
    assert 215 < now["grid_voltage"].min() < now["grid_voltage"].max() < 250
    assert 49.8 <= now["grid_frequency"].min() < now["grid_frequency"].max() <= 50.2


@each_device
@each_day
def test_values_are_continuous_across_midnight(device_id: str, day: int) -> None:
    house = House(device_id)
    for name, most in {"battery_soc": 0.1, "grid_frequency": 0.02, "battery_voltage": 3.0, "grid_voltage": 4.0}.items():
        assert abs(house.day(day)[name][0] - house.day(day - 1)[name][-1]) < most, name


def test_houses_are_deterministic_and_differ_by_device() -> None:
    first, again, other = House("ems_001"), House("ems_001"), House("ems_002")
    for name in METRICS:
        assert (first.day(SUMMER)[name] == again.day(SUMMER)[name]).all()
        assert (first.day(SUMMER)[name] != other.day(SUMMER)[name]).any()


def test_pieces_equal_the_whole_in_any_order() -> None:
    start, end = SUMMER * DAY_S + 80_000, (SUMMER + 2) * DAY_S + 5_000
    whole = list(House("ems_001").seconds(start, end))
    assert [first for first, _ in whole] == [start, (SUMMER + 1) * DAY_S, (SUMMER + 2) * DAY_S]
    cuts = [start, start + 1, start + 7_000, end - 1, end]
    pieces = [list(House("ems_001").seconds(*cut)) for cut in reversed(list(pairwise(cuts)))]
    for name in METRICS:
        joined = np.concatenate([values[name] for _, values in whole])
        from_pieces = np.concatenate([values[name] for piece in reversed(pieces) for _, values in piece])
        assert (joined == from_pieces).all(), name


@pytest.mark.parametrize("device_id", [f"house_{number}" for number in range(4)])
def test_the_charge_at_midnight_is_independent_of_the_start(device_id: str) -> None:
    """Each day starts with the final state of the day before: the look-back finds the only consistent state."""
    house = House(device_id)
    for day in range(WINTER, WINTER + 200, 7):
        ended = house.day(day)["battery_soc"][-1]
        assert abs(house.day(day + 1)["battery_soc"][0] - ended) < 0.1


@each_device
@each_day
def test_every_value_is_within_the_bounds_of_the_catalogue(device_id: str, day: int) -> None:
    measured = House(device_id).day(day)
    for metric in catalogue_load(DEFAULT_PATH).metrics:
        assert metric.low <= measured[metric.name].min() <= measured[metric.name].max() <= metric.high
