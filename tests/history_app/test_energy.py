"""GET /api/energy/{device_id} over the real server and database, and over random readings beside an oracle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.catalogue import CATALOGUE
from history_app.energy.rules import QUANTITIES, mean_hold_s
from history_app.parameters import PERIODS
from history_app.planning.window import Window, floor
from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us, us_from_datetime
from testing.cast import Person, device_create
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, store
from tests.history_app.test_history import refused, us
from tests.history_app.test_window import ZONES

HOUR_US = 3600 * SECOND_US
HOLD_US = 60 * SECOND_US
ROLES = tuple(CATALOGUE.by_role)
LOAD = CATALOGUE.metrics.index(CATALOGUE.by_role["load"])
Powers = dict[str, float | None]


def reading(device_id: str, at: int, **powers: float | None) -> Reading:
    """A reading of the powers by role; everything else is missing."""
    return Reading(device_id, at, tuple(powers.get(metric.role) for metric in CATALOGUE.metrics))


def ask(person: Person, device_id: str, *, at: Process | None = None, **parameters: Any) -> dict[str, Any]:
    """What the server says, or the one given with `at`."""
    answer = person.http.get(f"{at.url if at else ''}/api/energy/{device_id}", params=parameters)
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
    stack: Stack, raw_server: Process, alice: Person, house: tuple[list[tuple[int, Powers]], str, str, int, int]
) -> None:
    rows, zone, period, start, end = house
    device_id = device_create(owner=alice)
    store(stack, [reading(device_id, at, **measured) for at, measured in rows])
    parameters: dict[str, Any] = {"period": period, "start": iso_from_us(start), "end": iso_from_us(end), "tz": zone}
    body = ask(alice, device_id, at=raw_server, **parameters)
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


# --- from the tier of a minute -----------------------------------------------------------------------------------

DAY_US = 24 * HOUR_US
NOON = us("2026-03-10T12:00:00Z")


@pytest.fixture(scope="module")
def tier_server(stack: Stack, logs: Path) -> Iterator[Process]:
    """A server that answers from the tier however short the window is."""
    with server_process({**stack.env, "ENERGY_RAW_MAX_DAYS": "0"}, logs / "energy-tier.log") as process:
        yield process


def house_at(device_id: str, at: int) -> Reading:
    """Powers of both signs that differ from reading to reading."""
    second = at // SECOND_US
    grid, battery = float(second * 37 % 2001 - 1000), float(second * 91 % 601 - 300)
    return reading(device_id, at, grid=grid, battery=battery, solar=float(second * 13 % 977), load=float(second % 4093))


def both(person: Person, device_id: str, tier_server: Process, raw_server: Process, **parameters: Any) -> list[Any]:
    """The totals of the tier's answer and of the raw one."""
    answers = [ask(person, device_id, at=server, **parameters) for server in (tier_server, raw_server)]
    assert [answer["source"] for answer in answers] == ["energy_data_1m", "energy_data"]
    return [answer["total"] for answer in answers]


@pytest.mark.parametrize(("period_s", "hours"), [(1, 3), (5, 24)])
def test_complete_minutes_say_what_raw_readings_say(
    stack: Stack, tier_server: Process, raw_server: Process, alice: Person, device: str, period_s: int, hours: int
) -> None:
    midnight = us("2026-03-10T00:00:00Z")
    ends = midnight + hours * 3600 * SECOND_US
    store(stack, [house_at(device, at) for at in range(midnight, ends, period_s * SECOND_US)])
    if hours < 24:
        # Nothing may hold beyond the last minute: the tier does not know of it.
        store(stack, [reading(device, ends)])
    minutes, raw = both(alice, device, tier_server, raw_server, start="2026-03-10", end="2026-03-11")
    assert minutes["coverage"] == pytest.approx(raw["coverage"], rel=1e-6)
    for name in QUANTITIES:
        assert minutes[f"{name}_kwh"] == pytest.approx(raw[f"{name}_kwh"], rel=1e-6)
        assert minutes[f"{name}_kwh"] > 0
    for name in ("peak_w", "peak_time", "peak_import_w", "peak_import_time"):
        assert minutes[name] == raw[name]


def test_holes_differ_by_less_than_a_minute_each(
    stack: Stack, tier_server: Process, raw_server: Process, alice: Person, device: str
) -> None:
    """Half an hour, of which 25 s are missing inside a minute, and a hole of three hours (docs/energy.md)."""
    first = range(NOON, NOON + 440 * SECOND_US, SECOND_US)
    hole = range(NOON + 130 * SECOND_US, NOON + 155 * SECOND_US, SECOND_US)
    second = range(NOON + 3 * HOUR_US + 20 * SECOND_US, NOON + 3 * HOUR_US + 1200 * SECOND_US, SECOND_US)
    store(stack, [house_at(device, at) for at in (*first, *second) if at not in hole])
    minutes, raw = both(alice, device, tier_server, raw_server, start="2026-03-10", end="2026-03-11")
    # A run of readings is rounded to whole minutes: 7 min 20 s, and from 20 s to 20 min.
    assert minutes["coverage"] * 86_400 == pytest.approx(8 * 60 + 20 * 60)
    assert raw["coverage"] * 86_400 == pytest.approx(439 + 60 + 1179 + 60)
    for name, highest in [
        ("imported", 1000),
        ("exported", 1000),
        ("charged", 300),
        ("generated", 976),
        ("consumed", 4092),
    ]:
        # Two ends of runs and the one uneven minute.
        assert abs(minutes[f"{name}_kwh"] - raw[f"{name}_kwh"]) * 3.6e6 < 5 * 60 * highest
        assert minutes[f"{name}_kwh"] == pytest.approx(raw[f"{name}_kwh"], rel=0.15)


def test_values_that_are_missing_count_for_nothing(
    stack: Stack, tier_server: Process, raw_server: Process, alice: Person, device: str
) -> None:
    """Every second reading of a minute is without its load, and the next minute has none of it."""
    store(stack, [
        reading(device, NOON + second * SECOND_US, grid=-600.0, load=600.0 if second < 60 and second % 2 == 0 else None)
        for second in range(120)
    ])  # fmt: skip
    minutes, raw = both(alice, device, tier_server, raw_server, start="2026-03-10", end="2026-03-11")
    assert minutes["consumed_kwh"] == raw["consumed_kwh"] == pytest.approx(0.005)
    assert minutes["exported_kwh"] == pytest.approx(0.02)
    assert (minutes["imported_kwh"], minutes["generated_kwh"], minutes["peak_import_w"]) == (0.0, None, -600.0)
    assert minutes["coverage"] == pytest.approx(120 / 86_400)


def test_a_year_of_a_few_days_comes_from_the_tier_and_a_day_of_it_from_readings(
    stack: Stack, raw_server: Process, alice: Person, device: str
) -> None:
    starts = [us(f"2025-{month:02}-15T12:00:00Z") for month in (1, 6, 12)]
    for start in starts:
        store(stack, [reading(device, start + at * SECOND_US, load=1000.0) for at in range(0, 3600, 10)])
    peak = starts[1] + 1234 * SECOND_US
    store(stack, [reading(device, peak, load=5000.0), reading(device, peak + 1800 * SECOND_US, load=5000.0)])
    window: dict[str, Any] = {"start": "2025-01-01", "end": "2026-01-01"}
    year = ask(alice, device, period="year", **window)
    assert (year["source"], len(year["periods"])) == ("energy_data_1m", 1)
    assert year["total"]["consumed_kwh"] == pytest.approx(3.0, rel=0.01)
    assert year["total"]["coverage"] == pytest.approx(3 / (365 * 24), rel=1e-9)
    assert (year["total"]["peak_w"], year["total"]["peak_time"]) == (5000.0, iso_from_us(peak))
    months = ask(alice, device, period="month", **window)
    for key, value in year["total"].items():
        assert months["total"][key] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)
    assert [found["consumed_kwh"] is not None for found in months["periods"]] == [
        month in (1, 6, 12) for month in range(1, 13)
    ]
    for end, source in [("2025-06-17", "energy_data"), ("2025-06-18", "energy_data_1m")]:
        assert ask(alice, device, start="2025-06-15", end=end)["source"] == source
    assert ask(alice, device, at=raw_server, period="year", **window)["source"] == "energy_data"


def test_where_readings_have_aged_out_the_tier_still_knows(stack: Stack, alice: Person, device: str) -> None:
    start = us("1999-06-15T12:00:00Z")  # where no other test has readings: chunks are dropped
    store(stack, [house_at(device, start + at * SECOND_US) for at in range(600)])
    with stack.admin() as connection:
        connection.execute("SELECT drop_chunks('energy_data', '1999-12-01'::timestamptz)")
    store(stack, [reading(device, us("2000-06-15T12:00:00Z"), load=1.0)])
    body = ask(alice, device, start="1999-06-15", end="1999-06-16")
    highest = max(
        (house_at(device, start + at * SECOND_US) for at in range(600)), key=lambda one: one.values[LOAD] or 0
    )
    assert body["source"] == "energy_data_1m"
    assert body["total"]["peak_w"] == highest.values[LOAD]
    assert body["total"]["peak_time"] == iso_from_us(highest.us - highest.us % HOLD_US)


def test_of_the_minute_that_is_running_what_has_elapsed_counts(
    stack: Stack, tier_server: Process, alice: Person, device: str
) -> None:
    store(stack, [reading(device, (minute := now_us() // HOLD_US * HOLD_US), load=1000.0)])
    before = now_us()
    (found,) = ask(alice, device, at=tier_server, start=iso_from_us(minute), end=iso_from_us(minute + 1))["periods"]
    held_s = found["consumed_kwh"] * 3600
    assert min((before - minute) / SECOND_US, 60) - 0.01 <= held_s <= min((now_us() - minute) / SECOND_US, 60) + 0.01


def test_a_hold_longer_than_a_minute_is_for_raw_readings(stack: Stack, logs: Path, alice: Person, device: str) -> None:
    store(stack, [reading(device, NOON, load=3600.0)])
    env = {**stack.env, "ENERGY_MAX_HOLD_S": "300", "ENERGY_RAW_MAX_DAYS": "0"}
    with server_process(env, logs / "energy-hold.log") as server:
        body = ask(alice, device, at=server, start="2026-03-10", end="2026-03-11")
    assert (body["source"], body["total"]["consumed_kwh"]) == ("energy_data", pytest.approx(0.3))


def minutes_oracle(rows: Sequence[tuple[int, Powers]], low: int, high: int) -> dict[str, float | None]:
    """One period by hand, as the tier's minutes have it: seconds covered, and W·s of each quantity."""
    minutes: dict[int, list[Powers]] = {}
    for at, measured in rows:
        if low <= at < high:
            minutes.setdefault(at // HOLD_US, []).append(measured)
    parts: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for found in minutes.values():
        for name, (role, sign) in QUANTITIES.items():
            values = [power for measured in found if (power := measured[role]) is not None]
            if values:
                parts[name].append(sum(max(sign * power, 0.0) for power in values) * 60 / len(found))
    sums = {name: math.fsum(found) if found else None for name, found in parts.items()}
    return {"covered": 60.0 * len(minutes), **sums}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(house=houses())
def test_every_period_of_minutes_is_what_their_oracle_says(
    stack: Stack, tier_server: Process, alice: Person, house: tuple[list[tuple[int, Powers]], str, str, int, int]
) -> None:
    rows, zone, period, start, end = house
    device_id = device_create(owner=alice)
    store(stack, [reading(device_id, at, **measured) for at, measured in rows])
    parameters: dict[str, Any] = {"period": period, "start": iso_from_us(start), "end": iso_from_us(end), "tz": zone}
    body = ask(alice, device_id, at=tier_server, **parameters)
    assert body["source"] == "energy_data_1m"
    edges = Window(start, end, PERIODS[period], ZoneInfo(zone)).edges
    for found, (low, high) in zip(body["periods"], pairwise(edges), strict=True):
        expected = minutes_oracle(rows, low, high)
        assert found["coverage"] * (high - low) / SECOND_US == pytest.approx(expected["covered"], rel=1e-9)
        for name in QUANTITIES:
            kwh, watt_seconds = found[f"{name}_kwh"], expected[name]
            assert (kwh is None) == (watt_seconds is None), name
            assert kwh is None or math.isclose(kwh * 3.6e6, watt_seconds or 0.0, rel_tol=1e-9, abs_tol=1e-6), name
        loads = [(at, measured["load"]) for at, measured in rows if low <= at < high and measured["load"] is not None]
        highest = max((power for _, power in loads), default=None)
        assert found["peak_w"] == highest
        assert found["peak_time"] == next((iso_from_us(at) for at, power in loads if power == highest), None)


def test_a_day_on_which_the_clock_changes_is_full(
    stack: Stack, tier_server: Process, alice: Person, device: str
) -> None:
    for day, hours in [("2026-03-29", 23), ("2026-10-25", 25)]:
        start = us_from_datetime(datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")))
        store(stack, [reading(device, at, load=1000.0) for at in range(start, start + hours * HOUR_US, HOLD_US)])
        (found,) = ask(
            alice, device, at=tier_server, start=iso_from_us(start), end=iso_from_us(start + 1), tz="Europe/Berlin"
        )["periods"]
        assert (found["coverage"], found["consumed_kwh"]) == (1.0, pytest.approx(hours))
