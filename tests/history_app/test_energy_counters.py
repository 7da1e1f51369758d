"""Energy counters: sums of increases across resets and gaps, in every window, compared with the oracle."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from history_app.parameters import PERIODS
from history_app.planning.window import Window
from telemetry.catalogue import DEFAULT_PATH, Catalogue, catalogue_load
from telemetry.ddl import table_of
from telemetry.times import SECOND_US, datetime_from_us, iso_from_us
from testing.cast import Person, device_create
from testing.energy_readings import runs
from testing.energy_rollup import energy_roll_up
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack, manage
from testing.telemetry import now_us
from tests.history_app.energy import DAY_US, HOUR_US, Row, ask, assert_period
from tests.history_app.test_history import us

COUNTERS = """
[[metric]]
name = "meter_import"
unit = "kWh"
kind = "energy"
role = "grid_import"

[[metric]]
name = "meter_solar"
unit = "kWh"
kind = "energy"
role = "solar"
"""
NAMES = ["grid_power", "meter_import", "meter_solar"]
DAY = us("2026-05-12T00:00:00Z")


@dataclass(frozen=True)
class Metered:
    """A server with counters in its catalogue."""

    catalogue: Catalogue
    server: Process
    stack: Stack

    def store(self, device: str, rows: Sequence[Row]) -> None:
        statement = sql.SQL("INSERT INTO {} (device_id, time, {}) VALUES (%s, %s, %s, %s, %s)").format(
            table_of(self.catalogue), sql.SQL(", ").join(map(sql.Identifier, NAMES))
        )
        with self.stack.admin() as connection, connection.cursor() as cursor:
            cursor.executemany(
                statement, [(device, datetime_from_us(at), *map(values.get, NAMES)) for at, values in rows]
            )


@pytest.fixture(scope="module")
def metered(stack: Stack, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metered]:
    path = tmp_path_factory.mktemp("counters") / "catalogue.toml"
    name = f"metered_{secrets.token_hex(3)}"
    path.write_text(DEFAULT_PATH.read_text().replace('name = "energy_data"', f'name = "{name}"') + COUNTERS)
    env = {**stack.env, "TELEMETRY_CATALOGUE": str(path)}
    manage(env, "telemetry_schema", "--apply")
    with server_process(env, logs / "energy-counters.log") as server:
        yield Metered(catalogue_load(path), server, stack)


def test_figures_are_increases_and_a_reset_counts_from_zero(metered: Metered, alice: Person, device: str) -> None:
    values = [100.0, 101.0, 103.5, 0.5, 1.0]  # an increase of 1, 2.5, 0.5 after a reset, 0.5
    metered.store(device, [
        (DAY + hour * HOUR_US, {"meter_import": value, "grid_power": 5000.0 if hour == 0 else None})
        for hour, value in enumerate(values)
    ])  # fmt: skip
    body = ask(alice, device, at=metered.server, start=iso_from_us(DAY), end=iso_from_us(DAY + DAY_US))
    (day,) = body["periods"]
    assert day["imported_kwh"] == pytest.approx(4.5)
    assert (body["source"], day["source"], day["sources"]["imported"]) == ("counter", "counter", "counter")
    assert (day["exported_kwh"], day["sources"]["exported"]) == (0.0, "power")
    assert day["coverage_by_metric"] == {
        "meter_import": pytest.approx(4 / 24),
        "grid_power": pytest.approx(60 / 86_400),
    }
    hours = ask(alice, device, at=metered.server, period="hour", start=iso_from_us(DAY), end=iso_from_us(DAY + DAY_US))
    assert [one["imported_kwh"] for one in hours["periods"][:5]] == [*map(pytest.approx, [1.0, 2.5, 0.5, 0.5]), None]


@pytest.mark.parametrize("share", [0, 1, 2])
def test_an_increase_over_months_is_spread_evenly(metered: Metered, alice: Person, device: str, share: int) -> None:
    """No reading lies in the window: the readings before and after it are 100 days apart."""
    metered.store(device, [(DAY, {"meter_import": 50.0})])
    metered.store(device, [(DAY + 100 * DAY_US, {"meter_import": 250.0})])
    with metered.stack.admin() as connection:
        energy_roll_up(connection, metered.catalogue, device, lambda logged: logged[:share])
    start = DAY + 40 * DAY_US
    body = ask(alice, device, at=metered.server, start=iso_from_us(start), end=iso_from_us(start + 3 * DAY_US))
    assert [one["imported_kwh"] for one in body["periods"]] == pytest.approx([2.0, 2.0, 2.0])
    assert body["total"]["coverage"] == pytest.approx(1.0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_counters_and_powers_match_the_oracle(metered: Metered, alice: Person, data: st.DataObject) -> None:
    made = data.draw(runs(DAY, len(NAMES)))
    rows: list[Row] = [(at, dict(zip(NAMES, values, strict=True))) for at, values in made]
    device = device_create(owner=alice)
    is_late = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    for lot in (False, True):
        metered.store(device, [row for row, late in zip(rows, is_late, strict=True) if late is lot])
        with metered.stack.admin() as connection:
            energy_roll_up(connection, metered.catalogue, device, lambda logged: some(data, logged))
    for _ in range(3):
        period = data.draw(st.sampled_from(["15m", "hour", "day", "week"]))
        step = PERIODS[period]
        start = data.draw(st.sampled_from(rows))[0] - data.draw(st.integers(0, DAY_US))
        end = start + data.draw(st.integers(1, 20)) * int(step.seconds * SECOND_US)
        body = ask(alice, device, at=metered.server, period=period, start=iso_from_us(start), end=iso_from_us(end))
        edges = Window(start, end, step, ZoneInfo("UTC")).edges
        for found, (low, high) in zip(body["periods"], pairwise(edges), strict=True):
            assert_period(found, rows, low, high, now_us(), metered.catalogue)


def some(data: st.DataObject, logged: Sequence[Any]) -> list[Any]:
    flags = data.draw(st.lists(st.booleans(), min_size=len(logged), max_size=len(logged)))
    return [row for row, flag in zip(logged, flags, strict=True) if flag]
