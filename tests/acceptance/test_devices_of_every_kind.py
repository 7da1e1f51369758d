"""Correct kWh for every kind of device: sent to the real writer, read from the real server.

Each device is queried while its readings are only in the raw table, and again after the rollup.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest

from telemetry.keys import device_key
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person
from testing.process import Process
from testing.stack import Stack
from testing.waiting import wait_until

DAY_S = 86_400
HOUR_S = 3_600
# A UTC day within the writer's limit for past times.
DAY = int(time.time()) // DAY_S * DAY_S - 40 * DAY_S
Reading = tuple[float, dict[str, float | None]]


@dataclass(frozen=True)
class Site:
    """A device of alice, its writer and the server."""

    device: str
    key: str
    writer: Process
    alice: Person
    stack: Stack

    def send(self, readings: Sequence[Reading]) -> dict[str, Any]:
        """Send readings (seconds since 1970, values) in lists of 5,000 and return the last response."""
        told: dict[str, Any] = {}
        for start in range(0, len(readings), 5_000):
            body = [
                {"device_id": self.device, "time": iso_from_us(round(at * SECOND_US)), **values}
                for at, values in readings[start : start + 5_000]
            ]
            response = httpx.post(
                f"{self.writer.url}/ingest",
                content=orjson.dumps(body),
                headers={"Authorization": f"Bearer {self.key}"},
                timeout=60,
            )
            assert response.status_code == 200, response.text
            told = response.json()
        self.wait_stored(len({at for at, _ in readings}))
        return told

    def wait_stored(self, rows: int) -> None:
        with self.stack.admin() as admin:
            wait_until(
                lambda: self._count(admin) >= rows, f"{rows} readings of {self.device} are stored", deadline_s=120
            )

    def _count(self, admin: Any) -> int:
        found = admin.execute("SELECT count(*) FROM energy_data WHERE device_id = %s", [self.device]).fetchone()
        return int(found[0])

    def wait_rolled_up(self) -> None:
        """Wait until the change log has no rows of the device."""
        with self.stack.admin() as admin:
            query = "SELECT count(*) FROM energy_data_changes WHERE device_id = %s"
            wait_until(
                lambda: admin.execute(query, [self.device]).fetchone() == (0,),
                f"the tiers hold {self.device}",
                deadline_s=180,
            )

    def energy(self, period: str, start: int, end: int, **more: str) -> dict[str, Any]:
        parameters = {"period": period, "start": str(start * 1000), "end": str(end * 1000), "tz": "UTC", **more}
        response = self.alice.http.get(f"/api/energy/{self.device}", params=parameters)
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json()
        return told

    def day_in_every_window(self) -> Iterator[dict[str, Any]]:
        """Return the figures of DAY: queried alone, within four days, within a month of days, and as the sum of its
        hours.
        """
        yield self.energy("day", DAY, DAY + DAY_S)["periods"][0]
        for before, after in ((1, 3), (9, 22)):
            periods = self.energy("day", DAY - before * DAY_S, DAY + after * DAY_S)["periods"]
            yield periods[before]
        for period in ("hour", "15m"):
            yield self.energy(period, DAY, DAY + DAY_S)["total"]


@pytest.fixture
def site(stack: Stack, writer: Process, alice: Person, device: str) -> Site:
    return Site(device, device_key(stack.env["INGEST_SECRET"], device), writer, alice, stack)


def every_fifteen_minutes() -> list[Reading]:
    return [(DAY + index * 900, {"load_power": 1_000.0}) for index in range(96)]


def in_pairs() -> list[Reading]:
    """Return two readings around the end of each odd minute: the hold of the second reaches the next pair's first."""
    return [(DAY + index * 120 + second, {"load_power": 1_000.0}) for index in range(30) for second in (1, 59)]


def with_jitter() -> list[Reading]:
    rng = random.Random(1)
    return [
        (DAY + index * 60 + round(rng.uniform(-1.5, 1.5), 3), {"load_power": 1_000.0}) for index in range(1, 6 * 1_440)
    ]


def in_bursts() -> list[Reading]:
    return [
        (DAY + minute * 60 + second, {"load_power": 3_000.0 if second < 10 else 0.0})
        for minute in range(1_440)
        for second in range(11)
    ]


def in_separate_readings() -> list[Reading]:
    solar: list[Reading] = [(DAY + at, {"solar_power": 2_000.0}) for at in range(0, HOUR_S, 10)]
    grid: list[Reading] = [(DAY + at + 5, {"grid_power": -1_500.0}) for at in range(0, HOUR_S, 10)]
    return sorted(solar + grid, key=lambda reading: reading[0])


def at_two_rates() -> list[Reading]:
    load: list[Reading] = [(DAY + at, {"load_power": 1_000.0}) for at in range(0, DAY_S, 10)]
    return [(at, {**values, "grid_power": 1_000.0} if (at - DAY) % 60 == 0 else values) for at, values in load]


@pytest.mark.parametrize(
    ("readings", "quantity", "kwh", "within"),
    [
        (every_fifteen_minutes, "consumed", 24.0, 0.5),
        (in_pairs, "consumed", 1.0, 0.05),
        (with_jitter, "consumed", 24.0, 0.05),
        (in_bursts, "consumed", 12.0, 1e-6),
        (in_separate_readings, "generated", 2.0, 0.05),
        (in_separate_readings, "exported", 1.5, 0.05),
        (at_two_rates, "imported", 24.0, 0.05),
        (at_two_rates, "consumed", 24.0, 0.05),
    ],
    ids=["15min", "pairs", "jitter", "bursts", "solar", "grid", "slow-grid", "fast-load"],
)
def test_a_day_is_correct_and_equal_in_every_window(
    site: Site, readings: Callable[[], list[Reading]], quantity: str, kwh: float, within: float
) -> None:
    site.send(readings())
    fresh = [day[f"{quantity}_kwh"] for day in site.day_in_every_window()]
    assert fresh[0] == pytest.approx(kwh, abs=within)
    assert fresh == pytest.approx([fresh[0]] * len(fresh), rel=1e-9)
    site.wait_rolled_up()
    rolled = [day[f"{quantity}_kwh"] for day in site.day_in_every_window()]
    assert rolled == pytest.approx(fresh, rel=1e-9)


def test_a_device_at_two_rates_is_not_self_sufficient(site: Site) -> None:
    site.send(at_two_rates())
    (day,) = site.energy("day", DAY, DAY + DAY_S)["periods"]
    assert day["self_sufficiency"] == pytest.approx(0.0, abs=1e-3)
    assert day["coverage"] > 0.99


def test_two_senders_share_a_row_and_a_corrected_spike_disappears(site: Site) -> None:
    hour: list[Reading] = [(DAY + at, {"load_power": 1_000.0}) for at in range(0, HOUR_S, 60)]
    site.send([*hour, (DAY + 1_830, {"load_power": 500_000.0})])
    site.wait_rolled_up()
    assert site.energy("day", DAY, DAY + DAY_S)["periods"][0]["consumed_kwh"] > 3
    site.send([(DAY + 1_830, {"load_power": 1_000.0}), (DAY + 1_830, {"battery_soc": 55.0})])

    def corrected() -> bool:
        consumed: float = site.energy("day", DAY, DAY + DAY_S)["periods"][0]["consumed_kwh"]
        return consumed < 1.1

    wait_until(corrected, "the day counts the corrected value")
    site.wait_rolled_up()
    assert corrected()
    history = site.alice.http.get(
        f"/api/history/{site.device}",
        params={"start": DAY * 1000, "end": (DAY + HOUR_S) * 1000, "resolution": "1h", "agg": "max,count", "tz": "UTC"},
    ).json()
    assert history["metrics"]["load_power"]["max"] == [1_000.0]
    assert history["metrics"]["battery_soc"]["count"] == [1]
    assert history["count"] == [61]


def test_the_smallest_invalid_unit_is_refused(site: Site) -> None:
    body = (
        b'[{"device_id":"%(d)s","time":"%(t0)s","load_power":100},'
        b'{"device_id":"%(d)s","time":"%(t1)s","load_power":NaN,"solar_power":-3,"grid_power":1e307,"slar_power":3,'
        b'"battery_soc":100.4},{"device_id":"%(d)s","time":"%(t2)s","load_power":100}]'
    ) % {
        b"d": site.device.encode(),
        b"t0": iso_from_us(DAY * SECOND_US).encode(),
        b"t1": iso_from_us((DAY + 1) * SECOND_US).encode(),
        b"t2": iso_from_us((DAY + 2) * SECOND_US).encode(),
    }
    response = httpx.post(
        f"{site.writer.url}/ingest", content=body, headers={"Authorization": f"Bearer {site.key}"}, timeout=30
    )
    assert response.status_code == 200, response.text
    told = response.json()
    assert told["accepted"] == 3
    assert told["refused"] == []
    assert told["ignored"] == ["slar_power"]
    adjusted = {(entry["index"], entry["metric"]) for entry in told["adjusted"]}
    assert adjusted == {(1, "load_power"), (1, "solar_power"), (1, "grid_power"), (1, "battery_soc")}
    site.wait_stored(3)
    raw = site.alice.http.get(
        f"/api/history/{site.device}",
        params={"start": DAY * 1000, "end": (DAY + 10) * 1000, "resolution": "raw"},
    ).json()
    assert raw["metrics"]["load_power"]["avg"] == [100.0, None, 100.0]
    assert raw["metrics"]["solar_power"]["avg"] == [None, 0.0, None]
    assert raw["metrics"]["battery_soc"]["avg"] == [None, 100.0, None]
    assert raw["metrics"]["grid_power"]["avg"] == [None, None, None]


def test_a_reading_ahead_of_the_clock_does_not_hide_valid_ones(site: Site) -> None:
    now = time.time()
    site.send([(now + 280, {"load_power": 9_999.0})])
    site.send([(now - 3 + index, {"load_power": 100.0 + index}) for index in range(3)])
    (latest,) = site.alice.http.get("/api/latest", params={"devices": site.device}).json()
    assert latest["values"]["load_power"] < 200
    assert latest["age_s"] >= 0
    assert latest["online"] is True


def test_a_device_that_reports_once_a_minute_is_online(site: Site) -> None:
    now = time.time()
    site.send([(now - 55 - 60 * index, {"load_power": 100.0}) for index in range(5, -1, -1)])
    (latest,) = site.alice.http.get("/api/latest", params={"devices": site.device}).json()
    assert latest["online"] is True
    (listed,) = [entry for entry in site.alice.http.get("/api/devices").json() if entry["device_id"] == site.device]
    assert listed["online"] is True


def test_non_finite_values_of_a_third_party_count_as_null(site: Site) -> None:
    with site.stack.admin() as admin:
        for index, value in enumerate(("NaN", "Infinity", "-Infinity", "1000")):
            admin.execute(
                "INSERT INTO energy_data (time, device_id, load_power) VALUES (to_timestamp(%s), %s, %s::float8)",
                [DAY + index * 60, site.device, value],
            )
    for moment in ("fresh", "rolled up"):
        history = site.alice.http.get(
            f"/api/history/{site.device}",
            params={
                "start": DAY * 1000,
                "end": (DAY + DAY_S) * 1000,
                "resolution": "1d",
                "agg": "avg,min,max,count",
                "tz": "UTC",
            },
        ).json()
        assert history["metrics"]["load_power"] == {
            "unit": "W",
            "avg": [1_000.0],
            "min": [1_000.0],
            "max": [1_000.0],
            "count": [1],
        }, moment
        site.wait_rolled_up()
    export = site.alice.http.get(
        f"/api/history/{site.device}/export",
        params={"start": DAY * 1000, "end": (DAY + DAY_S) * 1000, "metrics": "load_power", "format": "csv"},
    ).text
    assert [line.split(",")[1] for line in export.split()[1:]] == ["", "", "", "1000.0"]
