"""Views: zoom, periods, metrics, devices, colours, downloads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from telemetry.times import SECOND_US, us_from_datetime
from testing.cast import Person, device_share
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at, store
from tests.e2e.houses import in_thread, make_device
from tests.e2e.support import DEADLINE_MS, DashboardPage, Watch, content, csv_of

pytestmark = pytest.mark.processes


class Asked:
    """The requests for history since the last `take`."""

    def __init__(self, page: Page) -> None:
        self._urls: list[str] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if re.search(r"/api/history/", request.url) and "/export" not in request.url:
            self._urls.append(request.url)

    def take(self) -> list[str]:
        taken, self._urls = self._urls, []
        return taken


@pytest.fixture
def signed_in(dashboard: DashboardPage, owner: Person, house: str) -> DashboardPage:
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    return dashboard


@pytest.fixture
def asked(signed_in: DashboardPage) -> Asked:
    return Asked(signed_in.page)


def drag(page: Page, left: float, right: float) -> None:
    """Drag across the power chart, between two fractions of its width."""
    box = page.locator("#power .u-over").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + left * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (left + right) / 2 * box["width"], y)
    page.mouse.move(box["x"] + right * box["width"], y)
    page.mouse.up()


def wait_resolution(dashboard: DashboardPage, resolution: str) -> None:
    dashboard.wait(lambda: dashboard.drawn("resolution") == resolution, f"a resolution of {resolution}")


def test_every_change_of_view_requests_history_once(signed_in: DashboardPage, asked: Asked) -> None:
    for label in ["10 min", "7 d", "1 y"]:
        signed_in.choose(label)
        assert len(asked.take()) == 1


def test_dragging_zooms_in_and_a_double_click_goes_back(signed_in: DashboardPage, asked: Asked) -> None:
    page = signed_in.page
    drag(page, 0.90, 0.93)  # 45 minutes of a day
    wait_resolution(signed_in, "5s")
    signed_in.wait_drawn("custom")
    assert len(asked.take()) == 1
    assert 400 <= signed_in.points <= 600
    drag(page, 0.2, 0.3)
    wait_resolution(signed_in, "raw")
    signed_in.wait_drawn("custom")
    assert len(asked.take()) == 1

    page.locator("#power .u-over").dblclick()
    wait_resolution(signed_in, "5s")
    page.get_by_role("button", name="Zoom back").click()
    wait_resolution(signed_in, "5m")
    signed_in.wait_drawn("24h")
    expect(page.get_by_role("button", name="Zoom back")).to_be_hidden()
    assert len(asked.take()) == 2


def test_the_keyboard_zooms_and_goes_back(signed_in: DashboardPage) -> None:
    plot = signed_in.page.get_by_role("img", name="Power")
    plot.focus()
    for resolution in ["1m", "30s"]:  # 12 h, 6 h
        plot.press("+")
        wait_resolution(signed_in, resolution)
        signed_in.wait_drawn("custom")
    plot.press("Escape")
    wait_resolution(signed_in, "1m")
    plot.press("Escape")
    signed_in.wait_drawn("24h")


def test_a_period_uses_the_zone_of_the_device(dashboard: DashboardPage, charlie: Person, stack: Stack) -> None:
    """When the clocks go back, the day in Berlin has 25 hours and two o'clock occurs twice."""
    device_id = make_device(charlie)
    midnight = us_from_datetime(datetime(2025, 10, 25, 22, tzinfo=UTC))
    store(stack, (reading_at(device_id, midnight + minute * 60 * SECOND_US) for minute in range(25 * 60)))
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.wait_drawn("24h")
    page = dashboard.page
    page.locator("#period-toggle").click()
    expect(page.locator("#period-zone")).to_have_text("Europe/Berlin")
    page.get_by_label("From", exact=True).fill("2025-10-26T00:00")
    page.get_by_label("To", exact=True).fill("2025-10-27T00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    dashboard.wait_drawn("custom")

    assert dashboard.points == 300
    rows = table_of(page, "#power")
    times = [row[0].rpartition(" ")[2] for row in rows]
    assert len(times) == 300
    assert times[0] == "23:55"
    assert times[-1] == "00:00"
    assert times.count("02:00") == 2
    assert times.count("03:00") == 1


def table_of(page: Page, chart: str) -> list[list[str]]:
    details = page.locator(f"{chart} .numbers")
    details.locator("summary").click()
    details.locator("tbody tr").first.wait_for(timeout=DEADLINE_MS)
    rows: list[list[str]] = details.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    return rows


def test_metrics_are_switched_on_and_off(signed_in: DashboardPage, asked: Asked, house: str) -> None:
    page = signed_in.page
    page.locator("#metrics summary").click()
    choices = page.locator("#metrics-list")
    choices.get_by_label("Grid frequency").check()
    expect(page.get_by_role("img", name="Grid frequency")).to_be_visible()
    signed_in.wait(lambda: signed_in.coloured_pixels("grid_frequency", "grid") > 50, "the frequency drawn")
    choices.get_by_label("Battery charge").uncheck()
    expect(page.locator("#battery_soc")).to_have_count(0)
    signed_in.wait_drawn("24h")
    assert len(asked.take()) == 2
    page.reload()
    signed_in.wait_drawn("24h")
    expect(page.locator("#grid_frequency")).to_be_visible()
    expect(page.locator("#battery_soc")).to_have_count(0)


def test_devices_are_compared_and_a_revoked_one_is_reported(
    signed_in: DashboardPage, asked: Asked, stack: Stack, owner: Person, bob: Person, watch: Watch
) -> None:
    watch.network_errors_expected = True  # requests at the end of the share are refused
    other = make_device(bob)
    now = now_us()
    store(stack, [reading_at(other, now - age * SECOND_US, 900.0) for age in range(5000, 0, -10)])
    in_thread(lambda: device_share(other, owner))
    page = signed_in.page
    page.reload()
    signed_in.wait_drawn("24h")
    asked.take()

    page.locator("#compare summary").click()
    page.locator("#compare").get_by_label(other).check()
    expect(page.locator("#load_power .key")).to_have_count(2)
    signed_in.wait(lambda: lines(signed_in), "a line of each house")
    assert len(asked.take()) == 1
    signed_in.choose("10 min")
    signed_in.wait(lambda: lines(signed_in), "a line of each house, from readings of different times")
    signed_in.wait_live()

    bob.http.delete(f"/api/devices/{other}/shares/{owner.username}").raise_for_status()
    expect(signed_in.notice).to_contain_text("access to this device has ended", timeout=DEADLINE_MS)
    expect(signed_in.notice).to_contain_text(other)
    expect(page.locator("#power .key")).to_have_count(4)
    signed_in.wait(lambda: signed_in.coloured_pixels("power", "load") > 50, "the own house goes on")


def lines(dashboard: DashboardPage) -> bool:
    chart = dashboard.page.locator("#load_power")
    return chart.count() == 1 and all(
        dashboard.coloured_pixels("load_power", colour) > 50 for colour in ("device-1", "device-2")
    )


def test_spikes_are_visible_in_the_band(dashboard: DashboardPage, stack: Stack, charlie: Person) -> None:
    """The average of a bucket hides a second of 9 kW; its maximum does not."""
    device_id = make_device(charlie)
    now = now_us()
    readings = [reading_at(device_id, now - age * SECOND_US, 300.0) for age in range(3600, 0, -1)]
    readings[1800] = reading_at(device_id, readings[1800].us, 9000.0)
    store(stack, readings)
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.choose("1 h")
    row = next(row for row in csv_of(screen_csv(dashboard.page)) if row["load_power_max"] == "9008")
    assert float(row["load_power_avg"]) == pytest.approx((4 * 308 + 9008) / 5)
    assert float(row["load_power_min"]) == 308


def screen_csv(page: Page) -> str:
    page.locator("#download summary").click()
    with page.expect_download() as told:
        page.get_by_role("button", name="What is shown (CSV)").click()
    return content(told.value)


def test_the_view_and_all_readings_can_be_downloaded(dashboard: DashboardPage, stack: Stack, charlie: Person) -> None:
    device_id = make_device(charlie)
    now = now_us()
    store(stack, [reading_at(device_id, now - age * SECOND_US, float(age)) for age in range(3000, 0, -1)])
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.choose("1 h")
    late = reading_at(device_id, now, 100.0)
    store(stack, [late])
    publish(stack, [late])
    dashboard.wait_through(datetime.fromtimestamp(now / 1e6, UTC) - timedelta(milliseconds=1))

    shown = csv_of(screen_csv(dashboard.page))
    measured = [row for row in shown if row["solar_power_avg"]]
    assert {row["device_id"] for row in shown} == {device_id}
    assert len(measured) == dashboard.points
    assert float(measured[-1]["solar_power_max"]) == 100 + 7  # the eighth metric: live readings are in it

    with dashboard.page.expect_download() as told:
        dashboard.page.get_by_role("link", name="Every reading of this time (CSV)").click()
    assert len(csv_of(content(told.value))) == 3001


def test_colours_follow_the_system_and_the_switch(signed_in: DashboardPage) -> None:
    page = signed_in.page
    page.emulate_media(color_scheme="dark")
    dark = ground(page)
    page.emulate_media(color_scheme="light")
    light = ground(page)
    assert dark != light
    switch = page.get_by_role("button", name="Colours")
    for words, colour in [("Light", light), ("Dark", dark)]:
        switch.click()
        expect(switch).to_contain_text(words)
        assert ground(page) == colour
        signed_in.wait(lambda: signed_in.coloured_pixels("power", "load") > 50, "the lines in the new colours")
    page.reload()
    signed_in.wait_drawn("24h")
    assert ground(page) == dark
    signed_in.wait(lambda: signed_in.coloured_pixels("power", "load") > 50, "the lines in dark colours")


def ground(page: Page) -> Any:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_cursor_is_on_every_chart(signed_in: DashboardPage) -> None:
    page = signed_in.page
    page.locator("#power .u-over").hover(position={"x": 300, "y": 40})
    when = page.locator("#power .when")
    expect(when).to_have_text(re.compile(r"\d\d:\d\d$"))
    expect(page.locator("#battery_soc .when")).to_have_text(when.inner_text())
    expect(value(page, "#power", "House")).to_have_text(re.compile("W$"))
    expect(value(page, "#battery_soc", "Battery charge")).to_have_text(re.compile("%$"))


def value(page: Page, chart: str, line: str) -> Locator:
    return page.locator(chart).get_by_role("button", name=line).locator(".value")


def test_charts_have_text_descriptions(signed_in: DashboardPage) -> None:
    label = signed_in.page.locator("#power .plot").get_attribute("aria-label") or ""
    assert re.match(r"Power\. Solar: from \S+\sk?W to \S+\sk?W, last \S+\sk?W; House: ", label), label


def test_a_phone_has_buttons_for_zooming(signed_in: DashboardPage, asked: Asked) -> None:
    page = signed_in.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Closer").click()
    signed_in.wait_drawn("custom")
    wait_resolution(signed_in, "1m")
    through = newest_drawn(signed_in)
    page.get_by_role("button", name="Earlier").click()
    signed_in.wait(lambda: newest_drawn(signed_in) < through, "the twelve hours before")
    page.get_by_role("button", name="Later").click()
    signed_in.wait(lambda: newest_drawn(signed_in) == through, "where it was")
    assert len(asked.take()) == 3


def newest_drawn(dashboard: DashboardPage) -> str:
    return dashboard.drawn("newest")
