"""The page's modules on their own, in the browser they are made for."""

from __future__ import annotations

from typing import Any

import pytest

from testing.cast import Person
from tests.e2e.support import DashboardPage

pytestmark = pytest.mark.processes

SERIES = "const { Series, bucketStart } = await import('/static/dashboard/series.js');"
COLUMN = "new Map([['load_power', { avg: %s, min: [], max: [], count: %s }]])"


@pytest.fixture
def run(dashboard: DashboardPage, charlie: Person) -> Any:
    """Evaluate the body of an async function on the page."""
    dashboard.sign_in(charlie.username, charlie.password)
    return lambda body: dashboard.page.evaluate(f"async () => {{ {SERIES} {body} }}")


@pytest.mark.parametrize(
    ("at", "step_ms", "zone", "start"),
    [
        ("2026-11-23T10:07:33.250Z", 5_000, "UTC", "2026-11-23T10:07:30.000Z"),
        ("2026-11-23T10:07:33.250Z", 900_000, "Asia/Kolkata", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T10:07:33.250Z", 3_600_000, "Europe/Berlin", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T10:07:33.250Z", 3_600_000, "Asia/Kolkata", "2026-11-23T09:30:00.000Z"),
        ("2026-11-23T10:47:33.250Z", 3_600_000, "Asia/Kathmandu", "2026-11-23T10:15:00.000Z"),
        ("2026-10-25T01:30:00.000Z", 3_600_000, "Europe/Berlin", "2026-10-25T01:00:00.000Z"),
    ],
)
def test_buckets_begin_where_the_server_lets_them_begin(run: Any, at: str, step_ms: int, zone: str, start: str) -> None:
    assert run(f"return new Date(bucketStart(Date.parse('{at}'), {step_ms}, '{zone}')).toISOString()") == start


def test_a_reading_is_averaged_into_its_bucket_with_its_weight(run: Any) -> None:
    columns = COLUMN % ("[10, 100]", "[5, 4]")
    assert run(
        f"""const series = new Series({{ stepMs: 5000, endMs: 10000, resolution: "5s", timeZone: "UTC", cursor: null,
              times: [0, 5000], columns: {columns} }});
            series.append({{ ms: 9900, time: "a", values: {{ load_power: 200 }} }});
            series.append({{ ms: 9950, time: "b", values: {{ load_power: null }} }});
            series.append({{ ms: 21000, time: "c", values: {{ load_power: 7 }} }});
            return [series.times, series.column("load_power"), series.points, series.through];"""
    ) == [[0, 5000, 10000, 15000, 20000], [10, 120, None, None, 7], 3, "c"]


def test_a_late_device_fills_the_bucket_before_the_newest(run: Any) -> None:
    columns = COLUMN % ("[10, null]", "[1, 0]")
    assert run(
        f"""const series = new Series({{ stepMs: 5000, endMs: 10000, resolution: "5s", timeZone: "UTC", cursor: null,
              times: [0, 5000], columns: {columns} }});
            series.append({{ ms: 4000, time: "a", values: {{ load_power: 20 }} }});
            return series.column("load_power");"""
    ) == [15, None]


@pytest.mark.parametrize(("step", "longest"), [("null", 601), ("5000", 122)])
def test_hours_of_rolling_take_no_more_memory_than_the_view(run: Any, step: str, longest: int) -> None:
    columns = COLUMN % ("[]", "[]")
    assert run(
        f"""const series = new Series({{ stepMs: {step}, endMs: 0, resolution: "", timeZone: "UTC", cursor: null,
              times: [], columns: {columns} }});
            let most = 0;
            for (let ms = 0; ms < 3 * 3600_000; ms += 1000) {{
              series.append({{ ms, time: "", values: {{ load_power: 1 }} }});
              series.trim(ms - 600_000);
              most = Math.max(most, series.times.length);
            }}
            return most;"""
    ) <= longest  # fmt: skip


def test_silence_of_a_raw_device_is_a_gap(run: Any) -> None:
    columns = COLUMN % ("[1, 1, 1, 1]", "[]")
    assert (
        run(
            f"""const series = new Series({{ stepMs: null, resolution: "raw", timeZone: "UTC", cursor: null,
              times: [0, 1000, 2000, 60000], columns: {columns} }});
            return series.gapMs;"""
        )
        == 5000
    )


def test_a_gap_is_drawn_where_raw_readings_are_far_apart(run: Any) -> None:
    columns = COLUMN % ("[1, 2, 3, 4]", "[]")
    assert run(
        f"""const series = new Series({{ stepMs: null, endMs: 0, resolution: "raw", timeZone: "UTC", cursor: null,
              times: [0, 1000, 2000, 60000], columns: {columns} }});
            return series.table([["load_power", "avg"]]);"""
    ) == [[0, 1000, 2000, 2001, 60000], [1, 2, 3, None, 4]]


def test_the_last_bucket_is_as_long_as_the_calendar_says(run: Any) -> None:
    """A day of 25 hours: the server tells where it ends. What comes after it is the server's to place."""
    columns = COLUMN % ("[10]", "[1]")
    assert run(
        f"""const hour = 3600_000;
            const series = new Series({{ stepMs: 24 * hour, endMs: 25 * hour, resolution: "1d", timeZone: "UTC",
              cursor: null, times: [0], columns: {columns} }});
            const values = {{ load_power: 30 }};
            const within = series.append({{ ms: 24.5 * hour, time: "a", values }});
            return [within, series.column("load_power"), series.append({{ ms: 25 * hour, time: "b", values }})];"""
    ) == [True, [20], False]


def test_a_view_of_the_past_takes_nothing_that_comes_after_it(run: Any) -> None:
    columns = COLUMN % ("[10]", "[1]")
    assert run(
        f"""const series = new Series({{ stepMs: 5000, endMs: 5000, resolution: "5s", timeZone: "UTC", cursor: null,
              times: [0], columns: {columns} }}, 5000);
            const taken = series.append({{ ms: 5000, time: "a", values: {{ load_power: 7 }} }});
            return [taken, series.times, series.through];"""
    ) == [True, [0], "a"]


def test_reconnecting_waits_longer_each_time_and_never_the_same_time(run: Any) -> None:
    waits = run(
        """const { backoffMs } = await import('/static/wattstream-client/index.js');
           return [0, 1, 2, 3, 10, 10].map(backoffMs);"""
    )
    for failures, wait in zip([0, 1, 2, 3], waits, strict=False):
        assert 500 * 2**failures <= wait <= 1000 * 2**failures
    assert all(15_000 <= wait <= 30_000 for wait in waits[4:])
    assert waits[4] != waits[5]
