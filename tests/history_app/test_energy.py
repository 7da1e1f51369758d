"""GET /api/energy/{device_id} on the real server and database: fields, periods, refusals."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from history_app.parameters import PERIODS
from history_app.planning.window import floor
from telemetry.catalogue import DEFAULT_PATH, catalogue_load
from telemetry.ddl import schema_statements
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_create
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, store
from tests.history_app.energy import HOUR_US, ask, reading
from tests.history_app.test_history import refused, us


def test_a_day_of_a_house(stack: Stack, alice: Person, device: str) -> None:
    """An hour with 1 kW of import for a load of 3 kW, then an hour of sun: 4 kW, of which 1 kW is exported."""
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
    assert {key: body[key] for key in ("device_id", "period", "tz", "source")} == {
        "device_id": device, "period": "day", "tz": "UTC", "source": "power",
    }  # fmt: skip
    (day,) = body["periods"]
    assert body["total"] == day
    assert body["coverage"] == day["coverage"]
    assert (day["start"], day["end"]) == ("2026-06-15T00:00:00.000Z", "2026-06-16T00:00:00.000Z")
    assert day["partial"] is False
    # The last reading holds for 60 s. The one at the peak has the load only, and holds for 9 s.
    assert day["coverage"] == pytest.approx((7200 + 50) / 86_400)
    assert day["coverage_by_metric"] == {
        f"{role}_power": pytest.approx(day["coverage"]) for role in ("battery", "grid", "solar", "load")
    }
    assert day["imported_kwh"] == pytest.approx(1.0)
    assert day["exported_kwh"] == pytest.approx(1.0 + 50 / 3600)
    assert day["discharged_kwh"] == pytest.approx(2.0)
    assert day["charged_kwh"] == pytest.approx(2.0 + 100 / 3600)
    assert day["generated_kwh"] == pytest.approx(4.0 + 200 / 3600)
    assert day["consumed_kwh"] == pytest.approx(4.0 + (9000 - 3000) * 9 / 3.6e6 + 50 / 3600)
    assert (day["peak_w"], day["peak_time"]) == (9000.0, iso_from_us(peak))
    assert (day["peak_import_w"], day["peak_import_time"]) == (1000.0, iso_from_us(start))
    assert day["self_consumption"] == pytest.approx(1 - day["exported_kwh"] / day["generated_kwh"])
    assert day["self_sufficiency"] == pytest.approx(1 - day["imported_kwh"] / day["consumed_kwh"])
    assert set(day["sources"].values()) == {"power"}


def test_a_hold_is_split_at_midnight(stack: Stack, alice: Person, device: str) -> None:
    midnight = us("2026-06-15T00:00:00Z")
    store(stack, [reading(device, midnight - 20 * SECOND_US, load=3600.0)])
    before, after = ask(alice, device, start="2026-06-14", end="2026-06-16")["periods"]
    assert (before["consumed_kwh"], after["consumed_kwh"]) == (pytest.approx(0.02), pytest.approx(0.04))
    assert after["coverage"] == pytest.approx(40 / 86_400)
    assert after["peak_w"] is None  # measured the day before


def test_without_readings_all_figures_are_null(alice: Person, device: str) -> None:
    (day,) = ask(alice, device, start="2026-06-15", end="2026-06-16")["periods"]
    assert day["coverage"] == 0.0
    assert (day["coverage_by_metric"], day["source"]) == ({}, "power")
    assert set(day["sources"].values()) == {None}
    others = ("start", "end", "partial", "coverage", "coverage_by_metric", "source", "sources")
    assert {value for key, value in day.items() if key not in others} == {None}


def test_the_current_period_is_the_default(stack: Stack, alice: Person, device: str) -> None:
    now = now_us()
    store(stack, [reading(device, now - 5 * SECOND_US, load=1000.0), reading(device, now + HOUR_US, load=1e6)])
    zone = ZoneInfo("UTC")
    for period, step in PERIODS.items():
        (found,) = ask(alice, device, period=period)["periods"]
        assert found["start"] == iso_from_us(floor(now, step, zone))
        assert found["partial"] is True
        # A hold ends at the present at the latest, and a reading ahead of the clock does not count.
        assert 0 < found["consumed_kwh"] <= 60 * 1000 / 3.6e6


@pytest.mark.parametrize(
    ("period", "start", "end", "starts"),
    [
        ("day", "2026-10-24", "2026-10-27", ["10-23T22", "10-24T22", "10-25T23"]),
        ("week", "2026-10-21", "2026-10-27", ["10-18T22", "10-25T23"]),
        ("month", "2026-02-10", "2026-04-10", ["01-31T23", "02-28T23", "03-31T22"]),
        ("year", "2026-05-01", "2026-06-01", ["2025-12-31T23"]),
        ("hour", "2026-10-25T01:30", "2026-10-25T03:30", ["10-24T23", "10-25T00", "10-25T01", "10-25T02"]),
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
    [("period=minute", "period"), ("start=never", "start"), ("end=never", "end"), ("tz=Mars", "tz"),
     ("range=1", "range"), ("metrics=solar_power", "metrics"), ("start=2026-02-01&end=2026-01-01", "start")],
)  # fmt: skip
def test_an_invalid_parameter_is_named(alice: Person, device: str, query: str, parameter: str) -> None:
    refused(alice.http.get(f"/api/energy/{device}?{query}"), 400, parameter)


def test_other_errors(alice: Person, charlie: Person, anonymous: httpx.Client, device: str) -> None:
    refused(alice.http.get(f"/api/energy/{device}?start=1980-01-01"), 413, "period")
    refused(alice.http.get(f"/api/energy/{device}?period=15m&start=2026-01-01&end=2026-06-01"), 413, "period")
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


# --- several devices ---------------------------------------------------------------------------------------------


def test_several_devices_and_their_total(stack: Stack, alice: Person, device: str) -> None:
    other, silent = device_create(owner=alice), device_create(owner=alice)
    noon = us("2026-06-15T12:00:00Z")
    minutes = range(0, 3600, 60)
    store(stack, [reading(device, noon + second * SECOND_US, load=1000.0, grid=400.0) for second in minutes])
    store(stack, [reading(other, noon + second * SECOND_US, load=3000.0) for second in minutes[:30]])
    answer = alice.http.get(
        "/api/energy",
        params={"devices": f"{other},{device},{silent}", "start": "2026-06-14", "end": "2026-06-16", "period": "day"},
    )
    body = answer.json()
    assert answer.status_code == 200, body
    assert [one["device_id"] for one in body["devices"]] == [other, device, silent]
    alone = [ask(alice, one, start="2026-06-14", end="2026-06-16") for one in (other, device, silent)]
    for one, expected in zip(body["devices"], alone, strict=True):
        assert one == {key: value for key, value in expected.items() if key not in ("period", "tz")}
    _, day = body["periods"]
    assert day["consumed_kwh"] == pytest.approx(1.0 + 1.5 + _tail_kwh(3000.0) + _tail_kwh(1000.0))
    assert day["imported_kwh"] == pytest.approx(0.4 + _tail_kwh(400.0))
    assert day["generated_kwh"] is None
    assert day["coverage_by_metric"]["load_power"] == alone[0]["periods"][1]["coverage_by_metric"]["load_power"]
    assert (day["peak_w"], day["peak_time"]) == (None, None)
    assert body["total"]["consumed_kwh"] == day["consumed_kwh"]


def _tail_kwh(watts: float) -> float:
    """The last of several minutely readings holds for 150 s instead of 60 s."""
    return watts * 90 / 3.6e6


def test_the_default_devices_are_all_accessible_ones(alice: Person, bob: Person, device: str) -> None:
    assert [one["device_id"] for one in alice.http.get("/api/energy").json()["devices"]] == [device]
    nothing = bob.http.get("/api/energy").json()
    assert (nothing["devices"], nothing["total"]["coverage"], nothing["total"]["consumed_kwh"]) == ([], 0.0, None)


def test_one_foreign_device_refuses_the_request(alice: Person, charlie: Person, device: str) -> None:
    own = device_create(owner=charlie)
    refused(charlie.http.get(f"/api/energy?devices={own},{device}"), 403, "device")
    refused(alice.http.get("/api/energy?devices="), 400, "devices")
    refused(alice.http.get("/api/energy?metrics=load_power"), 400, "metrics")
    many = ",".join(f"ems_{index}" for index in range(51))
    refused(alice.http.get(f"/api/energy?devices={many}"), 413, "devices")


def test_a_table_without_tiers_is_read_raw(
    stack: Stack, logs: Path, tmp_path: Path, alice: Person, device: str
) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(DEFAULT_PATH.read_text().replace('name = "energy_data"', 'name = "energy_untiered"'))
    start = us("2026-06-15T12:00:00Z")
    with stack.admin() as connection:
        for statement in schema_statements(catalogue_load(path)):
            connection.execute(statement)
        connection.execute("GRANT SELECT ON energy_untiered TO wattstream_reader")
        connection.execute(
            "INSERT INTO energy_untiered (device_id, time, load_power) VALUES (%s, %s, 3600)",
            [device, iso_from_us(start)],
        )
    with server_process({**stack.env, "TELEMETRY_CATALOGUE": str(path)}, logs / "energy-untiered.log") as server:
        for _ in range(2):
            (day,) = ask(alice, device, at=server, start="2026-06-15", end="2026-06-16")["periods"]
            assert day["consumed_kwh"] == pytest.approx(0.06)
