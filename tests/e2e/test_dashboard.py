"""The dashboard in a real browser, while the real simulator sends to the real writer."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from core.catalogue import CATALOGUE
from telemetry.reading import Reading
from telemetry.times import SECOND_US
from testing.cast import Person, device_share
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, store
from testing.waiting import wait_until
from tests.e2e.houses import ZONE, in_thread, make_device, simulator, stored_readings
from tests.e2e.support import DEADLINE_MS, DashboardPage, Watch, utc_now

pytestmark = pytest.mark.processes

# Per range: resolution, fewest and most points. A window that does not start at an edge has one more bucket.
DRAWN = {
    "10 min": ("raw", 598, 601),
    "1 h": ("5s", 720, 721),
    "6 h": ("30s", 720, 721),
    "24 h": ("5m", 288, 289),
    "7 d": ("15m", 672, 673),
    "30 d": ("1h", 720, 721),
    "1 y": ("1d", 31, 33),  # the house is a month old
}


@pytest.fixture
def signed_in(dashboard: DashboardPage, owner: Person, house: str) -> DashboardPage:
    """Olivia has signed in and sees her house."""
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    return dashboard


def test_the_page_shows_history_and_then_live_readings(dashboard: DashboardPage, owner: Person, house: str) -> None:
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    assert 288 <= dashboard.points <= 289
    for chart, colour in [("power", "solar"), ("power", "load"), ("power", "grid"), ("battery_soc", "battery")]:
        assert dashboard.coloured_pixels(chart, colour) > 50

    dashboard.choose("10 min")
    opened_at = utc_now()
    dashboard.wait_live()
    dashboard.wait_through(opened_at + timedelta(seconds=3))

    assert datetime.fromisoformat(dashboard.drawn("newest")) == dashboard.through
    assert 598 <= dashboard.points <= 601
    expect(dashboard.page.locator("#now-load_power .reading")).to_have_text(re.compile(r"^[0-9.]+ ?k?W$"))
    expect(dashboard.page.locator("#now-grid_frequency")).to_have_text(re.compile(r"^(49|50)\.\d\d.Hz$"))


@pytest.mark.parametrize("label", DRAWN)
def test_each_range_has_its_resolution_and_grows(signed_in: DashboardPage, label: str) -> None:
    if label != "24 h":
        signed_in.choose(label)
    resolution, fewest, most = DRAWN[label]

    assert signed_in.drawn("resolution") == resolution
    assert fewest <= signed_in.points <= most
    signed_in.wait_live()
    signed_in.wait_through(signed_in.through + timedelta(seconds=2))
    assert fewest <= signed_in.points <= most + 1
    pressed = signed_in.page.locator("#ranges [aria-pressed='true']")
    expect(pressed).to_have_text(label)


def test_a_live_bucket_equals_that_of_history(signed_in: DashboardPage, owner: Person, house: str) -> None:
    """The values are read with the keyboard, bucket by bucket."""
    signed_in.choose("1 h")
    signed_in.wait_live()
    opened_at = signed_in.through
    signed_in.wait_through(opened_at + timedelta(seconds=16))
    plot = signed_in.page.get_by_role("img", name="Power")
    plot.focus()
    shown: dict[str, str] = {}
    for _ in range(3):
        plot.press("ArrowLeft")
        when = signed_in.page.locator("#power .when").inner_text()
        shown[when] = signed_in.page.locator("#power .key", has_text="House").locator(".value").inner_text()

    answer = owner.http.get(f"/api/history/{house}", params={"range": "5m", "resolution": "5s"}).json()
    zone = ZoneInfo(ZONE)
    told = {
        datetime.fromtimestamp(ms / 1000, zone).strftime("%H:%M:%S"): value
        for ms, value in zip(answer["time"], answer["metrics"]["load_power"]["avg"], strict=True)
    }
    first_whole = opened_at.astimezone(zone) + timedelta(seconds=5)
    compared = 0
    for when, text in shown.items():
        clock = when.rpartition(" ")[2]
        if clock >= first_whole.strftime("%H:%M:%S"):
            assert watts(text) == pytest.approx(told[clock], abs=5.1 if "kW" in text else 0.51), when
            compared += 1
    assert compared


def watts(text: str) -> float:
    number, unit = text.replace("\u202f", " ").replace("\u2212", "-").split()
    return float(number) * (1000 if unit == "kW" else 1)


def test_the_page_reconnects_without_loss_after_a_server_restart(
    dashboard: DashboardPage, stack: Stack, writer: Process, charlie: Person, logs: Path, watch: Watch
) -> None:
    watch.network_errors_expected = True
    young = make_device(charlie)  # all its readings are within the ten minutes shown
    server = server_process(stack.env, logs / "restarted.log")
    with simulator(stack, writer, young, log=logs / "young.log"), server:
        dashboard.url = server.url
        dashboard.sign_in(charlie.username, charlie.password)
        dashboard.choose("10 min")
        dashboard.wait_live()
        before = dashboard.through

        server.stop()
        dashboard.wait_state("offline")
        expect(dashboard.status).to_contain_text("Offline")
        seen = dashboard.through
        wait_until(
            lambda: stored_readings(stack, young) > stored_readings(stack, young, until=seen.isoformat()) + 3,
            "readings that the page cannot have",
        )
        server.start()
        dashboard.wait_live()
        dashboard.wait_through(max(before, seen) + timedelta(seconds=5))

        through, points = dashboard.page.evaluate(
            "(({ through, points }) => [through, Number(points)])(document.querySelector('#power').dataset)"
        )
        # A reading is published before it is stored. Storage is in order: a later reading proves the earlier ones.
        wait_until(lambda: stored_readings(stack, young) > stored_readings(stack, young, until=through), "all stored")
        assert points == stored_readings(stack, young, until=through)


def test_unavailable_history_is_reported_and_retried(
    dashboard: DashboardPage, stack: Stack, owner: Person, house: str, logs: Path, watch: Watch
) -> None:
    watch.network_errors_expected = True
    proxy, telemetry_url = stack.telemetry_proxy()
    with server_process(stack.env | {"TELEMETRY_URL": telemetry_url}, logs / "cut.log") as server:
        dashboard.url = server.url
        dashboard.sign_in(owner.username, owner.password)
        dashboard.wait_drawn("24h")
        proxy.cut()
        dashboard.page.get_by_role("button", name="1 h", exact=True).click()
        expect(dashboard.notice).to_contain_text("Trying again", timeout=DEADLINE_MS)
        expect(dashboard.page.get_by_role("button", name="Try now")).to_be_visible()
        proxy.restore()
        dashboard.wait_drawn("1h")
        expect(dashboard.notice).to_be_hidden()


def test_a_foreign_device_is_neither_listed_nor_shown(dashboard: DashboardPage, charlie: Person, house: str) -> None:
    dashboard.sign_in(charlie.username, charlie.password)
    expect(dashboard.page.locator("#power")).to_contain_text("No devices yet")
    assert dashboard.devices == ["No devices"]

    dashboard.page.goto(f"{dashboard.url}/#device={house}&range=1h")
    dashboard.page.reload()
    expect(dashboard.page.locator("#power")).to_contain_text("No devices yet")
    assert dashboard.points == 0


def test_a_guest_sees_the_house_until_the_share_ends(
    dashboard: DashboardPage, owner: Person, bob: Person, house: str, watch: Watch
) -> None:
    watch.network_errors_expected = True  # requests at that moment are refused
    in_thread(lambda: device_share(house, bob))
    dashboard.sign_in(bob.username, bob.password)
    dashboard.wait_drawn("24h")
    expect(dashboard.page.locator("#role")).to_have_text(f"shared by {owner.username}")
    dashboard.wait_live()

    owner.http.delete(f"/api/devices/{house}/shares/{bob.username}").raise_for_status()

    expect(dashboard.notice).to_contain_text("access to this device has ended")
    expect(dashboard.page.locator("#now-load_power .number")).to_have_text("–")
    dashboard.wait(lambda: dashboard.points == 0, "the lines gone")
    dashboard.wait(lambda: dashboard.devices == ["No devices"], "the device gone from the list")


def test_a_device_without_readings_shows_a_message(dashboard: DashboardPage, charlie: Person) -> None:
    make_device(charlie)
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.wait_drawn("24h")
    expect(dashboard.page.locator("#power")).to_contain_text("No readings in the last 24 h.")
    dashboard.wait_live()
    expect(dashboard.status).to_contain_text("no readings yet")


@pytest.mark.parametrize(("label", "hole"), [("10 min", (200, 400)), ("1 h", (1200, 2400))])
def test_silence_is_drawn_as_a_gap(
    dashboard: DashboardPage, stack: Stack, charlie: Person, label: str, hole: tuple[int, int]
) -> None:
    device_id = make_device(charlie)
    now = now_us()
    values = tuple(300.0 * index for index in range(len(CATALOGUE.names)))
    ages = [age for age in range(3600, 0, -1) if not hole[0] <= age <= hole[1]]
    store(stack, [Reading(device_id, now - age * SECOND_US, values) for age in ages])
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.choose(label)
    assert dashboard.coloured_pixels("power", "load", left=0.15, right=0.25) > 50
    assert dashboard.coloured_pixels("power", "load", left=0.45, right=0.55) == 0
    assert dashboard.coloured_pixels("power", "load", left=0.75, right=0.85) > 50


def test_logout_ends_the_session_in_all_tabs(signed_in: DashboardPage) -> None:
    """Another tab learns of it through its socket."""
    other = DashboardPage(signed_in.page.context.new_page(), signed_in.url)
    other.page.goto(other.url)
    other.wait_live()

    signed_in.page.get_by_role("button", name="Sign out").click()

    signed_in.page.wait_for_url(f"{signed_in.url}/login")
    other.page.wait_for_url(re.compile("/login"))
    other.page.goto(other.url)
    expect(other.page).to_have_url(f"{other.url}/login?next=/")


def test_the_view_survives_a_reload(signed_in: DashboardPage, house: str) -> None:
    signed_in.choose("6 h")
    signed_in.page.reload()
    signed_in.wait_drawn("6h")
    expect(signed_in.page).to_have_url(f"{signed_in.url}/#device={house}&range=6h")


def test_a_line_can_be_hidden_and_shown_again(signed_in: DashboardPage) -> None:
    key = signed_in.page.get_by_role("button", name="House")
    before = signed_in.coloured_pixels("power", "load")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    signed_in.wait(lambda: signed_in.coloured_pixels("power", "load") == 0, "the line gone")
    key.click()
    signed_in.wait(lambda: signed_in.coloured_pixels("power", "load") > before / 2, "the line back")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_every_screen(signed_in: DashboardPage, scheme: str) -> None:
    signed_in.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for width in [1920, 1280, 768, 390, 320]:
        signed_in.page.set_viewport_size({"width": width, "height": 800})
        signed_in.wait(signed_in.canvas_fills_its_card, f"the plot as wide as its card at {width}")
        assert signed_in.page.evaluate("document.documentElement.scrollWidth") <= width
        assert signed_in.coloured_pixels("power", "load") > 50


def test_the_policy_allows_nothing_inline(dashboard: DashboardPage, owner: Person, house: str) -> None:
    dashboard.sign_in(owner.username, owner.password)
    answer = dashboard.page.reload()
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
