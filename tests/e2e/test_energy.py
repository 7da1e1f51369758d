"""The energy table and the reports, compared with the API."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from telemetry.times import SECOND_US
from testing.cast import Person
from testing.stack import Stack
from testing.telemetry import now_us, reading_at, store
from tests.e2e.houses import make_device
from tests.e2e.support import DEADLINE_MS, DashboardPage, Watch, content, csv_of

pytestmark = pytest.mark.processes


@pytest.fixture
def measured(dashboard: DashboardPage, charlie: Person, stack: Stack) -> str:
    """A device with two hours of readings, two days ago."""
    device_id = make_device(charlie)
    start = now_us() - 2 * 86_400 * SECOND_US
    store(stack, (reading_at(device_id, start + second * SECOND_US, 1000.0) for second in range(0, 7200, 10)))
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.wait_drawn("24h")
    return device_id


def numbers(text: str) -> float:
    return float(re.sub(r"[^0-9.]", "", text))


def test_energy_matches_the_api_and_missing_values_are_marked(
    dashboard: DashboardPage, charlie: Person, measured: str
) -> None:
    page = dashboard.page
    year = charlie.http.get(f"/api/energy/{measured}", params={"period": "year"}).json()["periods"][0]
    row = page.locator("#energy-rows tr", has_text="House")
    expect(row.locator("td").last).not_to_have_text("–", timeout=DEADLINE_MS)
    assert numbers(row.locator("td").last.inner_text()) == pytest.approx(year["consumed_kwh"], abs=0.01)
    # Nothing was measured today: no number is shown.
    expect(row.locator("td").first).to_have_text("–")
    coverage = page.locator("#energy-rows .coverage td")
    expect(coverage.first).to_have_text(re.compile("^0"))
    expect(coverage.last).to_have_class("short")


def test_reports_are_paged_and_downloadable(dashboard: DashboardPage, charlie: Person, measured: str) -> None:
    page = dashboard.page
    page.locator("#report").scroll_into_view_if_needed()
    page.get_by_role("button", name="Years").click()
    rows = page.locator("#report-rows tr")
    expect(rows).to_have_count(5, timeout=DEADLINE_MS)
    told = charlie.http.get(f"/api/energy/{measured}", params={"period": "year"}).json()["periods"][0]
    assert numbers(rows.last.locator("td").nth(1).inner_text()) == pytest.approx(told["consumed_kwh"], abs=0.01)
    expect(page.locator("#report-total")).to_contain_text("Total")
    expect(page.locator("#report-bars .of-load").last).to_be_visible()
    heights = page.locator("#report-bars .of-load").evaluate_all(
        "(bars) => bars.map((bar) => Number(bar.getAttribute('height')))"
    )
    assert len(heights) == 5
    assert heights[-1] > 20 > heights[0]

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    taken = csv_of(content(download.value))
    assert float(taken[-1]["consumed_kwh"]) == pytest.approx(told["consumed_kwh"])

    page.get_by_role("button", name="Months").click()
    expect(page.locator("#report-page")).to_have_text(re.compile(r"^20\d\d$"))
    page.get_by_role("button", name="Report before").click()
    expect(page.locator("#report-words")).to_contain_text("No readings in", timeout=DEADLINE_MS)
    expect(page.locator("#report-figures")).to_be_hidden()
    page.get_by_role("button", name="Report after").click()
    expect(page.get_by_role("button", name="Report after")).to_be_disabled()


def test_unavailable_figures_are_reported(dashboard: DashboardPage, measured: str, watch: Watch) -> None:
    watch.network_errors_expected = True
    page = dashboard.page
    page.route("**/api/energy/**", lambda route: route.fulfill(
        status=503, content_type="application/problem+json",
        json={"status": 503, "code": "unavailable", "detail": "The telemetry database does not answer."},
    ))  # fmt: skip
    page.locator("#report").scroll_into_view_if_needed()
    page.get_by_role("button", name="Months").click()
    expect(page.locator("#report-words")).to_have_text("The telemetry database does not answer.")
