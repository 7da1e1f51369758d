"""GET /api/energy/{device_id} over the real server and database, and over random readings beside an oracle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from history_app.catalogue import CATALOGUE
from history_app.energy import QUANTITIES, mean_hold_s
from history_app.energy_service import PERIODS
from history_app.window import Window, floor
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from tests.history_app.test_history import refused, us
from tests.history_app.test_window import ZONES
from tests.support.cast import Person, device_create
from tests.support.servers import server_process
from tests.support.stack import Stack
from tests.support.telemetry import now_us, store

HOUR_US = 3600 * SECOND_US
HOLD_US = 60 * SECOND_US
ROLES = tuple(CATALOGUE.by_role)
Powers = dict[str, float | None]


def reading(device_id: str, at: int, **powers: float | None) -> Reading:
    """A reading of the powers by role; everything else is missing."""
    return Reading(device_id, at, tuple(powers.get(metric.role) for metric in CATALOGUE.metrics))


def ask(person: Person, device_id: str, **parameters: Any) -> dict[str, Any]:
    answer = person.http.get(f"/api/energy/{device_id}", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_day_of_a_house(stack: Stack, alice: Person, device: str) -> None:
    """An hour of importing 1 kW for a load of 3 kW, then an hour of sun: 4 kW, of which 1 kW is exported."""
    start = us("2026-06-15T10:00:00Z")
    morning = [
        reading(device, start + second * SECOND_US, grid=1000.0, battery=-2000.0, solar=0.0, load=3000.0)
        for second in range(0, 3600, 10)
    ]
    noon = [
        reading(device, start + HOUR_US + second * SECOND_US, grid=-1000.0, battery=2000.0, solar=4000.0, load=1000.0)
        for second in range(0, 3600, 10)
    ]
    peak = start + HOUR_US // 2 + SECOND_US
    store(stack, [*morning, *noon, reading(device, peak, load=9000.0)])
    body = ask(alice, device, start="2026-06-15", end="2026-06-16")
    assert {key: body[key] for key in ("device_id", "period", "tz", "max_hold_s", "source")} == {
        "device_id": device, "period": "day", "tz": "UTC", "max_hold_s": 60, "source": "energy_data",
    }  # fmt: skip
    (day,) = body["periods"]
    assert body["total"] == day
    assert (day["start"], day["end"]) == ("2026-06-15T00:00:00.000Z", "2026-06-16T00:00:00.000Z")
    assert day["partial"] is False
    # The last reading holds for 60 s; the one at the peak for 9 s, in which only the load is known.
    assert day["coverage"] == pytest.approx((7200 + 50) / 86_400)
    assert day["imported_kwh"] == pytest.approx(1.0 - 9 / 3600)
    assert day["exported_kwh"] == pytest.approx(1.0 + 50 / 3600)
    assert day["discharged_kwh"] == pytest.approx(2.0 - 18 / 3600)
    assert day["charged_kwh"] == pytest.approx(2.0 + 100 / 3600)
    assert day["generated_kwh"] == pytest.approx(4.0 + 200 / 3600)
    assert day["consumed_kwh"] == pytest.approx(4.0 + (9000 - 3000) * 9 / 3.6e6 + 50 / 3600)
    assert (day["peak_w"], day["peak_time"]) == (9000.0, iso_from_us(peak))
    assert (day["peak_import_w"], day["peak_import_time"]) == (1000.0, iso_from_us(start))
    assert day["self_consumption"] == pytest.approx(1 - day["exported_kwh"] / day["generated_kwh"])
    assert day["self_sufficiency"] == pytest.approx(1 - day["imported_kwh"] / day["consumed_kwh"])


def test_a_hold_is_cut_at_midnight_and_goes_on_in_the_next_day(stack: Stack, alice: Person, device: str) -> None:
    midnight = us("2026-06-15T00:00:00Z")
    store(stack, [reading(device, midnight - 20 * SECOND_US, load=3600.0)])
    before, after = ask(alice, device, start="2026-06-14", end="2026-06-16")["periods"]
    assert (before["consumed_kwh"], after["consumed_kwh"]) == (pytest.approx(0.02), pytest.approx(0.04))
    assert after["coverage"] == pytest.approx(40 / 86_400)
    assert after["peak_w"] is None  # it was measured the day before


def test_without_readings_nothing_is_known(alice: Person, device: str) -> None:
    (day,) = ask(alice, device, start="2026-06-15", end="2026-06-16")["periods"]
    assert day["coverage"] == 0.0
    assert {value for key, value in day.items() if key not in ("start", "end", "partial", "coverage")} == {None}


def test_the_period_that_is_running_is_the_default(stack: Stack, alice: Person, device: str) -> None:
    now = now_us()
    store(stack, [reading(device, now - 5 * SECOND_US, load=1000.0), reading(device, now + HOUR_US, load=1e6)])
    zone = ZoneInfo("UTC")
    for period, step in PERIODS.items():
        (found,) = ask(alice, device, period=period)["periods"]
        assert found["start"] == iso_from_us(floor(now, step, zone))
        assert found["partial"] is True
        # What is held reaches to the present at most, and a reading ahead of the clock does not count.
        assert 0 < found["consumed_kwh"] <= 60 * 1000 / 3.6e6


@pytest.mark.parametrize(
    ("period", "start", "end", "starts"),
    [
        ("day", "2026-10-24", "2026-10-27", ["10-23T22", "10-24T22", "10-25T23"]),
        ("week", "2026-10-21", "2026-10-27", ["10-18T22", "10-25T23"]),
        ("month", "2026-02-10", "2026-04-10", ["01-31T23", "02-28T23", "03-31T22"]),
        ("year", "2026-05-01", "2026-06-01", ["2025-12-31T23"]),
    ],
)
def test_periods_follow_the_calendar_of_the_zone(
    alice: Person, device: str, period: str, start: str, end: str, starts: list[str]
) -> None:
    body = ask(alice, device, period=period, start=start, end=end, tz="Europe/Berlin")
    assert [found["start"] for found in body["periods"]] == [
        f"{begin if period == 'year' else f'2026-{begin}'}:00:00.000Z" for begin in starts
    ]
    for before, after in pairwise(body["periods"]):
        assert before["end"] == after["start"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("period=hour", "period"), ("start=never", "start"), ("end=never", "end"), ("tz=Mars", "tz"), ("range=1", "range"),
     ("metrics=solar_power", "metrics"), ("start=2026-02-01&end=2026-01-01", "start")],
)  # fmt: skip
def test_a_parameter_that_cannot_be_used_is_named(alice: Person, device: str, query: str, parameter: str) -> None:
    refused(alice.http.get(f"/api/energy/{device}?{query}"), 400, parameter)


def test_other_errors(alice: Person, charlie: Person, anonymous: httpx.Client, device: str) -> None:
    refused(alice.http.get(f"/api/energy/{device}?start=1980-01-01"), 413, "period")
    assert alice.http.get(f"/api/energy/{device}?start=1980-01-01&period=month").status_code == 200
    foreign = charlie.http.get(f"/api/energy/{device}")
    refused(foreign, 403, "device")
    assert charlie.http.get("/api/energy/no-such-device").content == foreign.content
    refused(alice.http.post(f"/api/energy/{device}"), 405, "GET")
    refused(anonymous.get(f"/api/energy/{device}"), 401, "Sign in")


def test_without_the_database_503(stack: Stack, logs: Path, alice: Person, device: str) -> None:
    proxy, url = stack.telemetry_proxy()
    with server_process({**stack.env, "TELEMETRY_URL": url}, logs / "energy-proxied.log") as server:
        proxy.cut()
        headers = {"Authorization": f"Bearer {alice.token}"}
        answer = httpx.get(f"{server.url}/api/energy/{device}", headers=headers, timeout=30)
        refused(answer, 503, "database")
        assert int(answer.headers["retry-after"]) > 0
        proxy.restore()


def test_a_catalogue_without_roles_leaves_the_fields_null(
    stack: Stack, logs: Path, tmp_path: Path, alice: Person, device: str
) -> None:
    from telemetry.catalogue import DEFAULT_PATH

    kept = [line for line in DEFAULT_PATH.read_text().splitlines() if line not in ('role = "grid"', 'role = "battery"')]
    (tmp_path / "catalogue.toml").write_text("\n".join(kept))
    start = us("2026-06-15T12:00:00Z")
    store(stack, [reading(device, start, grid=60.0, battery=60.0, solar=60.0, load=120.0)])
    env = {**stack.env, "TELEMETRY_CATALOGUE": str(tmp_path / "catalogue.toml")}
    with server_process(env, logs / "energy-roles.log") as server:
        answer = httpx.get(
            f"{server.url}/api/energy/{device}", params={"start": "2026-06-15", "end": "2026-06-16"},
            headers={"Authorization": f"Bearer {alice.token}"}, timeout=30,
        )  # fmt: skip
    (day,) = answer.json()["periods"]
    assert day["generated_kwh"] == pytest.approx(0.001)
    assert day["consumed_kwh"] == pytest.approx(0.002)
    assert (day["peak_w"], day["peak_import_w"]) == (120.0, None)
    for name in ("imported", "exported", "charged", "discharged"):
        assert day[f"{name}_kwh"] is None


# --- beside an oracle --------------------------------------------------------------------------------------------

powers = st.none() | st.floats(-1e5, 1e5, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def houses(draw: st.DrawFn) -> tuple[list[tuple[int, Powers]], str, str, int, int]:
    """Irregular readings around changes of clock and of month, with holes and nulls, and periods over them."""
    zone, period = draw(st.sampled_from(ZONES)), draw(st.sampled_from(["day", "week", "month"]))
    base = us_from_datetime(datetime(2025, draw(st.sampled_from([3, 10])), 24, tzinfo=ZoneInfo(zone)))
    times: set[int] = set()
    for _ in range(draw(st.integers(1, 6))):
        # A burst around the turn of a day (an hour off where the clock has changed), with gaps of up to two minutes.
        at = base + draw(st.integers(0, 10)) * 24 * HOUR_US + draw(st.sampled_from([-1, 0, 0, 1])) * HOUR_US
        at -= draw(st.integers(0, 300 * SECOND_US))
        for gap in draw(st.lists(st.integers(1, 120 * SECOND_US), min_size=1, max_size=12)):
            at += gap
            times.add(at)
    rows = [(at, {role: draw(powers) for role in ROLES}) for at in sorted(times)]
    start = base + draw(st.integers(0, 5)) * 24 * HOUR_US
    return rows, zone, period, start, start + draw(st.integers(1, 8 * 24)) * HOUR_US


def oracle(rows: Sequence[tuple[int, Powers]], low: int, high: int) -> dict[str, float | None]:
    """One period by hand: seconds covered, and W·s of each quantity."""
    covered = 0
    parts: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for index, (at, measured) in enumerate(rows):
        following = rows[index + 1][0] if index + 1 < len(rows) else math.inf
        held = min(following, at + HOLD_US, high) - max(at, low)
        if held <= 0:
            continue
        covered += int(held)
        for name, (role, sign) in QUANTITIES.items():
            power = measured[role]
            if power is not None:
                parts[name].append(max(sign * power, 0.0) * held / SECOND_US)
    sums = {name: math.fsum(found) if found else None for name, found in parts.items()}
    return {"covered": covered / SECOND_US, **sums}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(house=houses())
def test_every_period_is_what_the_oracle_says(
    stack: Stack, alice: Person, house: tuple[list[tuple[int, Powers]], str, str, int, int]
) -> None:
    rows, zone, period, start, end = house
    device_id = device_create(owner=alice)
    store(stack, [reading(device_id, at, **measured) for at, measured in rows])
    body = ask(
        alice, device_id, period=period, start=iso_from_us(start), end=iso_from_us(end), tz=zone
    )  # fmt: skip
    edges = Window(start, end, PERIODS[period], ZoneInfo(zone)).edges
    assert [found["start"] for found in body["periods"]] == [iso_from_us(edge) for edge in edges[:-1]]
    together = {**body["total"], "start": iso_from_us(edges[0]), "end": iso_from_us(edges[-1])}
    assert together == body["total"]
    for found, (low, high) in [
        *zip(body["periods"], pairwise(edges), strict=True),
        (body["total"], (edges[0], edges[-1])),
    ]:
        expected = oracle(rows, low, high)
        assert found["coverage"] * (high - low) / SECOND_US == pytest.approx(expected["covered"], rel=1e-9)
        for name in QUANTITIES:
            kwh, watt_seconds = found[f"{name}_kwh"], expected[name]
            assert (kwh is None) == (watt_seconds is None), name
            assert kwh is None or math.isclose(kwh * 3.6e6, watt_seconds or 0.0, rel_tol=1e-9, abs_tol=1e-9), name
        loads = [(at, measured["load"]) for at, measured in rows if low <= at < high and measured["load"] is not None]
        highest = max((power for _, power in loads), default=None)
        assert found["peak_w"] == highest
        assert found["peak_time"] == next((iso_from_us(at) for at, power in loads if power == highest), None)


@given(
    count=st.integers(1, 600), offset=st.floats(0, 1, exclude_max=True), power=st.floats(-1e4, 1e4),
    max_hold_s=st.sampled_from([60, 90]),
)  # fmt: skip
def test_the_mean_hold_of_a_tier_is_exact_for_evenly_spaced_readings(
    count: int, offset: float, power: float, max_hold_s: int
) -> None:
    """`count` readings a minute for an hour: what the minutes' counts and sums say beside the holds themselves."""
    gap_us = 60 * SECOND_US // count
    first = int(offset * gap_us)
    times = [minute * 60 * SECOND_US + first + index * gap_us for minute in range(60) for index in range(count)]
    whole = math.fsum(
        min(after - before, max_hold_s * SECOND_US) / SECOND_US * power for before, after in pairwise(times)
    )
    whole += power * (times[0] + 3600 * SECOND_US - times[-1]) / SECOND_US
    from_tier = 60 * (power * count) * mean_hold_s(count, 60.0, max_hold_s)
    assert from_tier == pytest.approx(whole, rel=1e-6)
