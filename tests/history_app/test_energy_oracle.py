"""Energy compared with plain Python: random readings, windows and zones, at any state of the rollup."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from history_app.parameters import PERIODS
from history_app.planning.window import Window
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from testing.cast import Person, device_create
from testing.energy_readings import runs
from testing.energy_rollup import energy_roll_up
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import now_us, store
from tests.history_app.energy import DAY_US, HOUR_US, Row, ask, assert_period
from tests.history_app.test_window import ZONES

METRICS = [metric.name for metric in CATALOGUE.metrics if metric.role]


@st.composite
def questions(draw: st.DrawFn, rows: Sequence[Row]) -> tuple[dict[str, Any], Sequence[int]]:
    """Draw parameters of a request around the times of the readings, and the edges of its periods."""
    zone = draw(st.sampled_from(ZONES))
    period = draw(st.sampled_from(list(PERIODS)))
    step = PERIODS[period]
    around = draw(st.sampled_from(rows))[0] + draw(st.integers(-3 * HOUR_US, 3 * HOUR_US))
    length = min(int(step.seconds * SECOND_US) * draw(st.integers(1, 30)), 400 * DAY_US)
    start = around - draw(st.integers(0, length))
    end = start + max(1, length)
    parameters = {"period": period, "tz": zone, "start": iso_from_us(start), "end": iso_from_us(end)}
    return parameters, Window(start, end, step, ZoneInfo(zone)).edges


def values_of(row: tuple[float | None, ...]) -> dict[str, float | None]:
    return dict(zip(METRICS, row, strict=True))


def stored(device_id: str, rows: Sequence[Row]) -> list[Reading]:
    return [Reading(device_id, at, tuple(map(values.get, CATALOGUE.names))) for at, values in rows]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), month=st.sampled_from([3, 10]))
def test_every_period_matches_the_oracle_at_any_state_of_the_rollup(
    stack: Stack, raw_server: Process, alice: Person, data: st.DataObject, month: int
) -> None:
    """Readings arrive in two lots, the second late; the rollup processes a part after each."""
    base = us_from_datetime(datetime(2025, month, 24, tzinfo=ZoneInfo("Europe/Berlin")))
    made = data.draw(runs(base + data.draw(st.integers(0, 3 * DAY_US)), len(METRICS)))
    rows: list[Row] = [(at, values_of(values)) for at, values in made]
    device_id = device_create(owner=alice)
    is_late = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    for lot in (False, True):
        store(stack, stored(device_id, [row for row, late in zip(rows, is_late, strict=True) if late is lot]))
        with stack.admin() as connection:
            energy_roll_up(connection, CATALOGUE, device_id, lambda logged: some(data, logged))
    for _ in range(3):
        parameters, edges = data.draw(questions(rows))
        server = raw_server if data.draw(st.sampled_from([False, False, True])) else None
        body = ask(alice, device_id, at=server, **parameters)
        assert [found["start"] for found in body["periods"]] == [iso_from_us(edge) for edge in edges[:-1]]
        for found, (low, high) in zip(body["periods"], pairwise(edges), strict=True):
            assert_period(found, rows, low, high, now_us())
        assert_period(body["total"], rows, edges[0], edges[-1], now_us())


def some(data: st.DataObject, logged: Sequence[Any]) -> list[Any]:
    """Return a random part. One draw: the rollup of the run's writer may change the number of rows."""
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    share = rng.random()
    return [row for row in logged if rng.random() < share]
