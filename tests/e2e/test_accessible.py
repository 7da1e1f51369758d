"""Accessibility of every page and dialog: the rules of axe-core, the keyboard, small screens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from testing.cast import Person, device_share
from testing.process import ROOT, Process
from tests.e2e.houses import in_thread, make_device
from tests.e2e.manage import card, enter

pytestmark = pytest.mark.processes

AXE = (ROOT / "dashboard/node_modules/axe-core/axe.min.js").read_text()
# The elements that the Tab key reaches, in the order of the page. A group of radio buttons would be one of them.
STOPS = """() => [...(document.querySelector("dialog[open]") ?? document).querySelectorAll(
    "a[href], button, input, select, textarea, [tabindex]")]
  .filter((e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({ visibilityProperty: true }))
  .map((e) => e.outerHTML)"""
DUPLICATE_IDS = """() => [...document.querySelectorAll("[id]")].map((e) => e.id)
  .filter((id, index, all) => all.indexOf(id) !== index)"""
FOCUSED = "() => document.activeElement?.outerHTML ?? ''"
OPENED = ["Claim a device", "Settings", "Share", "History", "Transfer", "Release"]


def violations(page: Page) -> list[str]:
    """The violated rules of axe-core, with the elements, and duplicate ids."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    broken = [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]
    return broken + [f"duplicate-id: {name}" for name in page.evaluate(DUPLICATE_IDS)]


def assert_in_order(page: Page) -> None:
    """Assert that the Tab key reaches every control, in the order of the page."""
    stops = page.evaluate(STOPS)
    assert stops
    page.evaluate("document.querySelector('dialog[open]') ?? document.activeElement.blur()")
    reached: list[str] = []
    for _ in range(3 * len(stops) + 12):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if reached[-1:] != [focused]:  # a field for a date and a time has a stop for each part
            reached.append(focused)
    first = reached.index(stops[0])
    around = [stop for stop in reached[first:] if stop in stops]
    assert around[: len(stops)] == stops


@pytest.fixture
def devices(page: Page, server: Process, bob: Person, charlie: Person) -> Page:
    """Bob's page /devices, with a device of his own and one that charlie shares with him."""
    make_device(bob)
    shared = make_device(charlie)
    in_thread(lambda: device_share(shared, bob))
    enter(page, server, bob, "/devices")
    expect(card(page, shared)).to_be_visible()
    return page


@pytest.fixture
def account(page: Page, server: Process, bob: Person) -> Page:
    """Bob's page /account, with a key in the list."""
    bob.http.post("/api/auth/tokens", json={"name": "grafana"}).raise_for_status()
    enter(page, server, bob, "/account")
    expect(page.get_by_role("region", name="API keys").get_by_role("row", name="grafana")).to_be_visible()
    expect(page.get_by_role("region", name="Activity").get_by_role("row", name="grafana")).to_be_visible()
    return page


def in_both_schemes(page: Page, check: Callable[[Page], None]) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        check(page)


def assert_no_violations(page: Page) -> None:
    assert violations(page) == []


@pytest.mark.parametrize("path", ["/login", "/register"])
def test_the_forms_before_login(page: Page, server: Process, path: str) -> None:
    page.goto(server.url + path)
    in_both_schemes(page, assert_no_violations)
    assert_in_order(page)


def test_the_list_of_devices(devices: Page) -> None:
    in_both_schemes(devices, assert_no_violations)
    assert_in_order(devices)


def test_the_empty_list_of_devices(page: Page, server: Process, bob: Person) -> None:
    enter(page, server, bob, "/devices")
    expect(page.get_by_role("heading", name="No devices yet")).to_be_visible()
    in_both_schemes(page, assert_no_violations)
    assert_in_order(page)


def test_the_dialogs_of_devices(devices: Page) -> None:
    for words in OPENED:
        opener = devices.get_by_role("button", name=words).first
        opener.click()
        expect(devices.get_by_role("dialog")).to_be_visible()
        expect(devices.locator("dialog[open] [data-view='loading']")).to_have_count(0)
        in_both_schemes(devices, assert_no_violations)
        assert_in_order(devices)
        devices.keyboard.press("Escape")
        expect(opener).to_be_focused()


def test_the_account_and_its_dialogs(account: Page) -> None:
    in_both_schemes(account, assert_no_violations)
    assert_in_order(account)
    account.get_by_role("button", name="Revoke grafana").click()
    in_both_schemes(account, assert_no_violations)
    account.keyboard.press("Escape")
    account.get_by_label("Name").fill("another")
    account.get_by_role("button", name="Make a key").click()
    expect(account.get_by_role("dialog", name="Your new key another")).to_be_visible()
    in_both_schemes(account, assert_no_violations)
    assert_in_order(account)


@pytest.mark.parametrize("path", ["/devices", "/account"])
def test_nothing_is_wider_than_the_screen(devices: Page, server: Process, path: str) -> None:
    devices.goto(server.url + path)
    expect(devices.locator("main [data-view='loading'], main[data-view='loading']")).to_have_count(0)
    for width in (1920, 768, 390, 320):
        devices.set_viewport_size({"width": width, "height": 800})
        assert devices.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("harm", "rule"),
    [
        ("document.querySelector('label[for=username]').remove()", "label"),
        ("document.querySelector('button').style.color = '#4caf8a'", "color-contrast"),
        ("document.querySelector('#password').id = 'username'", "duplicate-id"),
        ("document.documentElement.lang = ''", "html-has-lang"),
    ],
)
def test_these_checks_can_fail(page: Page, server: Process, harm: str, rule: str) -> None:
    page.goto(f"{server.url}/login")
    assert_no_violations(page)
    page.evaluate(harm)
    assert any(found.startswith(f"{rule}:") for found in violations(page))


def test_the_check_of_the_order_can_fail(page: Page, server: Process) -> None:
    page.goto(f"{server.url}/login")
    page.evaluate("document.querySelector('button').tabIndex = 1")
    with pytest.raises(AssertionError):
        assert_in_order(page)
