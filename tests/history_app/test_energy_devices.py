"""Correct kWh from every kind of device, in every window, before, during and after the rollup."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from core.catalogue import CATALOGUE
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.energy_rollup import energy_roll_up
from testing.stack import Stack
from testing.telemetry import store
from tests.history_app.energy import DAY_US, HOUR_US, MINUTE_US, ask, reading
from tests.history_app.test_history import us

DAY = us("2026-05-12T00:00:00Z")
Moment = Callable[[Sequence[Any]], Sequence[Any]]
# The part of the change log that the rollup has processed at the time of the request.
MOMENTS: dict[str, Moment] = {
    "absent": lambda logged: [],
    "behind": lambda logged: logged[: len(logged) // 2],
    "out of order": lambda logged: logged[1::2],
    "done": lambda logged: logged,
}


@pytest.fixture(params=list(MOMENTS))
def moment(request: pytest.FixtureRequest) -> Moment:
    return MOMENTS[request.param]


def keep(stack: Stack, moment: Moment, device: str, readings: Sequence[Reading]) -> None:
    """Store the readings in four statements, and let the rollup process the given part."""
    for part in range(4):
        store(stack, readings[part::4])
    with stack.admin() as connection:
        energy_roll_up(connection, CATALOGUE, device, moment)


def day_of(person: Person, device: str, day: int = DAY) -> dict[str, Any]:
    """Return the figures of one day, which are equal in windows of one, four and thirty days."""
    found: list[dict[str, Any]] = []
    for before, after in ((0, 1), (2, 2), (20, 10)):
        start, end = iso_from_us(day - before * DAY_US), iso_from_us(day + after * DAY_US)
        body = ask(person, device, period="day", start=start, end=end)
        found.append(body["periods"][before])
    for other in found[1:]:
        assert_same(found[0], other)
    return found[0]


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, float):
        assert math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    else:
        assert one == other


def test_a_reading_every_quarter_of_an_hour(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    keep(stack, moment, device, [reading(device, DAY + k * 15 * MINUTE_US, load=1000.0) for k in range(96)])
    day = day_of(alice, device)
    # The interval of the first reading is unknown: it holds for one minute.
    assert day["consumed_kwh"] == pytest.approx(24 - 14 / 60)
    assert day["coverage"] == pytest.approx(1 - 14 / 1440)


def test_two_readings_close_together_every_other_minute(
    stack: Stack, alice: Person, device: str, moment: Moment
) -> None:
    seconds = [minute * 60 + second for minute in range(0, 60, 2) for second in (1, 59)]
    keep(stack, moment, device, [reading(device, DAY + second * SECOND_US, load=1000.0) for second in seconds])
    # the last one holds for 2.5 × 58 s
    assert day_of(alice, device)["consumed_kwh"] == pytest.approx((3538 + 145) / 3600)


def test_a_minute_with_jitter(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    chance = random.Random(7)
    times = [DAY + k * MINUTE_US + int(chance.uniform(-1.5, 1.5) * SECOND_US) for k in range(1, 6 * 1440)]
    keep(stack, moment, device, [reading(device, at, load=1000.0) for at in times])
    whole = ask(alice, device, period="month", start="2026-05-12", end="2026-05-18")["total"]
    days = ask(alice, device, period="day", start="2026-05-12", end="2026-05-18")["total"]
    assert whole["consumed_kwh"] == pytest.approx(144.0, rel=1e-3)
    assert days["consumed_kwh"] == pytest.approx(whole["consumed_kwh"], rel=1e-3)
    assert days["coverage"] == pytest.approx(1.0, rel=1e-3)


def test_a_burst_each_minute(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    """3,000 W for ten seconds of each minute, then 0 W."""
    readings = [
        reading(device, DAY + (minute * 60 + second) * SECOND_US, load=3000.0 if second < 10 else 0.0)
        for minute in range(1440)
        for second in range(11)
    ]
    keep(stack, moment, device, readings)
    assert day_of(alice, device)["consumed_kwh"] == pytest.approx(12.0)
    month = ask(alice, device, period="month", start="2026-05-12", end="2026-05-13")["total"]
    assert month["consumed_kwh"] == pytest.approx(12.0)


def test_metrics_in_separate_readings(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    solar = [reading(device, DAY + second * SECOND_US, solar=2000.0) for second in range(0, 3600, 10)]
    grid = [reading(device, DAY + second * SECOND_US, grid=-1500.0) for second in range(5, 3600, 10)]
    keep(stack, moment, device, [*solar, *grid])
    day = day_of(alice, device)
    # the last reading of each holds for one minute
    assert day["generated_kwh"] == pytest.approx(2.0 + 2.0 * 50 / 3600)
    assert day["exported_kwh"] == pytest.approx(1.5 + 1.5 * 50 / 3600)
    assert set(day["coverage_by_metric"]) == {"solar_power", "grid_power"}


def test_metrics_with_different_intervals(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    load = [reading(device, DAY + second * SECOND_US, load=1000.0) for second in range(0, 86_400, 10) if second % 60]
    both = [reading(device, DAY + second * SECOND_US, load=1000.0, grid=1000.0) for second in range(0, 86_400, 60)]
    keep(stack, moment, device, [*load, *both])
    day = day_of(alice, device)
    assert (day["imported_kwh"], day["consumed_kwh"]) == (pytest.approx(24.0), pytest.approx(24.0))
    assert (day["coverage"], day["self_sufficiency"]) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))


def test_nan_infinity_and_1e307_of_a_third_party_count_as_null(
    stack: Stack, alice: Person, device: str, moment: Moment
) -> None:
    hostile = [math.nan, math.inf, -math.inf, 1e307]
    readings = [
        reading(device, DAY + second * SECOND_US, load=hostile[second % 4] if second % 10 else 1000.0, grid=-math.inf)
        for second in range(3600)
    ]
    keep(stack, moment, device, readings)
    day = day_of(alice, device)
    assert day["consumed_kwh"] == pytest.approx(1.0 + 50 / 3600)
    assert (day["imported_kwh"], day["self_sufficiency"], day["peak_w"]) == (None, None, 1000.0)
    for period in ("month", "year"):
        (found,) = ask(alice, device, period=period, start="2026-05-12", end="2026-05-13")["periods"]
        assert found["consumed_kwh"] == day["consumed_kwh"]


def test_a_correction_and_a_deletion_count_everywhere(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    keep(stack, moment, device, [reading(device, DAY + k * MINUTE_US, load=1000.0) for k in range(120)])
    with stack.admin() as connection:
        table, spike = CATALOGUE.table, iso_from_us(DAY + 30 * MINUTE_US)
        connection.execute(f"UPDATE {table} SET load_power = 61000 WHERE device_id = %s AND time = %s", [device, spike])
        energy_roll_up(connection, CATALOGUE, device, moment)
        assert day_of(alice, device)["consumed_kwh"] == pytest.approx(2.0 + 1.0 + 0.025)
        gone = iso_from_us(DAY + HOUR_US)
        connection.execute(f"DELETE FROM {table} WHERE device_id = %s AND time >= %s", [device, gone])
        energy_roll_up(connection, CATALOGUE, device, moment)
    day = day_of(alice, device)
    assert day["consumed_kwh"] == pytest.approx(1.0 + 1.0 + 0.025)
    assert day["peak_w"] == 61000.0


def test_late_readings_from_weeks_ago(stack: Stack, alice: Person, device: str, moment: Moment) -> None:
    keep(stack, moment, device, [reading(device, DAY + k * MINUTE_US, load=1000.0) for k in range(0, 1440, 2)])
    keep(stack, moment, device, [reading(device, DAY + k * MINUTE_US, load=3000.0) for k in range(1, 1440, 2)])
    day = day_of(alice, device)
    assert day["consumed_kwh"] == pytest.approx(48.0)
    assert day["coverage"] == pytest.approx(1.0)
