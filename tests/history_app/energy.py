"""Helpers of the energy tests: readings by role, requests, and the expected response of the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.catalogue import CATALOGUE
from history_app.energy.figures import PEAKS, QUANTITIES
from telemetry.catalogue import Catalogue
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.energy_oracle import Sums, counter_sums, power_sums, series
from testing.process import Process

MINUTE_US = 60 * SECOND_US
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
ROLES = tuple(CATALOGUE.by_role)
Row = tuple[int, Mapping[str, float | None]]


def reading(device_id: str, at: int, **powers: float | None) -> Reading:
    """Return a reading of the powers by role; all other metrics are null."""
    return Reading(device_id, at, tuple(powers.get(metric.role) for metric in CATALOGUE.metrics))


def ask(person: Person, device_id: str, *, at: Process | None = None, **parameters: Any) -> dict[str, Any]:
    """Request energy from the server, or from `at`."""
    answer = person.http.get(f"{at.url if at else ''}/api/energy/{device_id}", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def expected_sums(
    rows: Sequence[Row], low: int, high: int, now: int, catalogue: Catalogue = CATALOGUE
) -> dict[str, Sums]:
    """Return the oracle's sums for each metric with a role in one period. `rows`: by name of the metric."""
    sums = {}
    for metric in catalogue.metrics:
        if metric.role:
            readings = series([(at, values.get(metric.name)) for at, values in rows], now)
            sums[metric.name] = (counter_sums if metric.is_counter else power_sums)(readings, low, high, now)
    return sums


def assert_period(
    found: Mapping[str, Any], rows: Sequence[Row], low: int, high: int, now: int, catalogue: Catalogue = CATALOGUE
) -> None:
    """Check that every field of a period equals the oracle's to 1e-9."""
    sums = expected_sums(rows, low, high, now, catalogue)
    reported = {name: one for name, one in sums.items() if one.held_s or one.highest}
    elapsed_s = (min(high, now) - low) / SECOND_US
    assert found["coverage_by_metric"].keys() == reported.keys()
    for name, one in reported.items():
        assert is_close(found["coverage_by_metric"][name], one.held_s / elapsed_s), name
    assert is_close(found["coverage"], min((one.held_s / elapsed_s for one in reported.values()), default=0.0))
    for name, (value, source) in expected_kwh(sums, catalogue).items():
        assert is_close(found[f"{name}_kwh"], value), (name, found[f"{name}_kwh"], value)
        assert found["sources"][name] == source, name
    for role, name in PEAKS.items():
        highest = sums[catalogue.by_role[role].name].highest if role in catalogue.by_role else None
        assert found[f"{name}_w"] == (highest and highest[0])
        assert found[f"{name}_time"] == (highest and iso_from_us(highest[1]))


def expected_kwh(sums: Mapping[str, Sums], catalogue: Catalogue) -> dict[str, tuple[float | None, str | None]]:
    """Return kWh and source by quantity, for metrics in W and kWh."""
    expected: dict[str, tuple[float | None, str | None]] = {}
    for name, quantity in QUANTITIES.items():
        expected[name] = (None, None)
        power = catalogue.by_role.get(quantity.power_role)
        if power and (one := sums[power.name]).held_s > 0:
            expected[name] = ((one.positive if quantity.is_positive else one.negative) / 3.6e6, "power")
        counter = catalogue.by_counter_role.get(quantity.counter_role)
        if counter and (one := sums[counter.name]).held_s > 0:
            expected[name] = (one.positive, "counter")
    return expected


def is_close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)
