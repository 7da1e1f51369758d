"""The page /account in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from auth_app.serializers import AUDIT_PAGE
from testing.cast import Person
from testing.process import Process
from testing.waiting import wait_until
from tests.e2e.manage import enter, problem, told, wait_path
from tests.e2e.support import Watch

pytestmark = pytest.mark.processes

NEW_PASSWORD = "quite-another-horse"


@pytest.fixture
def account(page: Page, server: Process, bob: Person) -> Page:
    """Bob's account page."""
    enter(page, server, bob, "/account")
    return page


def make_key(page: Page, name: str, days: str = "90 days") -> Locator:
    """The dialog that shows the new key."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Valid for").select_option(days)
    page.get_by_role("button", name="Make a key").click()
    shown = page.get_by_role("dialog", name=f"Your new key {name}")
    expect(shown).to_be_visible()
    return shown


def key_row(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name="API keys").get_by_role("row", name=name)


def may_enter(server: Process, key: str) -> bool:
    answer = httpx.get(f"{server.url}/api/devices", headers={"Authorization": f"Bearer {key}"}, timeout=30)
    return answer.status_code == 200


def test_a_key_is_shown_once_copied_and_works_until_it_is_revoked(account: Page, server: Process, bob: Person) -> None:
    account.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(account.get_by_text("No keys yet.")).to_be_visible()
    shown = make_key(account, "grafana", "30 days")
    key = shown.get_by_label("API key").input_value()
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("status")).to_have_text("Copied.")
    assert account.evaluate("navigator.clipboard.readText()") == key
    assert may_enter(server, key)
    expiry = datetime.fromisoformat(bob.http.get("/api/auth/tokens").json()[0]["expires_at"])
    assert abs(expiry - datetime.now(UTC) - timedelta(days=30)) < timedelta(hours=1)

    shown.get_by_role("button", name="I have it").click()
    row = key_row(account, "grafana")
    expect(row).to_be_visible()
    expect(account.locator("#key-text")).to_have_value("")
    account.reload()
    expect(row).to_be_visible()
    assert key not in account.content()

    row.get_by_role("button", name="Revoke grafana").click()
    dialog = account.get_by_role("dialog", name="Revoke grafana")
    dialog.get_by_role("button", name="Cancel").click()
    assert may_enter(server, key)
    row.get_by_role("button", name="Revoke grafana").click()
    dialog.get_by_role("button", name="Revoke").click()
    told(account, "grafana is revoked.")
    expect(row).to_have_count(0)
    assert not may_enter(server, key)


def test_a_key_has_the_selected_scopes(account: Page, server: Process, bob: Person) -> None:
    account.get_by_label("follow live readings").uncheck()
    key = make_key(account, "reader").get_by_label("API key").input_value()
    headers = {"Authorization": f"Bearer {key}"}
    assert may_enter(server, key)
    assert httpx.post(f"{server.url}/api/auth/ws-ticket", headers=headers, timeout=30).status_code == 403
    assert bob.http.get("/api/auth/tokens").json()[0]["scopes"] == ["read"]
    account.get_by_role("button", name="I have it").click()
    expect(key_row(account, "reader").get_by_role("cell", name="read", exact=True)).to_be_visible()


def test_a_key_without_scopes_is_refused(account: Page, watch: Watch) -> None:
    watch.network_errors_expected = True
    for words in ("read devices and history", "follow live readings"):
        account.get_by_label(words).uncheck()
    account.get_by_label("Name").fill("idle")
    account.get_by_role("button", name="Make a key").click()
    expect(problem(account)).to_have_text("This list may not be empty.")


def test_the_page_shows_the_log_of_the_account(account: Page, server: Process, bob: Person) -> None:
    httpx.post(f"{server.url}/api/auth/login", json={"username": bob.username, "password": "wrong"}, timeout=30)
    make_key(account, "grafana").get_by_role("button", name="I have it").click()
    wait_until(lambda: "login_failed" in bob.http.get("/api/auth/audit").text, "the refusal is written down")
    account.reload()
    activity = account.get_by_role("region", name="Activity")
    rows = activity.get_by_role("row")
    expect(rows.filter(has_text="API key made · grafana")).to_contain_text("from 127.0.0.1")
    expect(rows.filter(has_text="Sign-in refused")).to_have_count(1)
    expect(rows.filter(has_text="Signed in")).to_have_count(1)


def test_older_entries_are_shown_on_demand(account: Page, server: Process, bob: Person) -> None:
    for number in range(AUDIT_PAGE):
        key = bob.http.post("/api/auth/tokens", json={"name": f"k{number}"}).json()
        bob.http.delete(f"/api/auth/tokens/{key['id']}")
    account.reload()
    activity = account.get_by_role("region", name="Activity")
    expect(activity.get_by_role("row")).to_have_count(AUDIT_PAGE + 1)
    activity.get_by_role("button", name="Show more").click()
    expect(activity.get_by_role("row").filter(has_text="API key made · k0 ")).to_be_visible()
    expect(activity.get_by_role("row")).to_have_count(2 * AUDIT_PAGE + 1)


def test_a_failed_key_creation_shows_the_reason(account: Page, server: Process, bob: Person, watch: Watch) -> None:
    watch.network_errors_expected = True
    expect(account.get_by_text("No keys yet.")).to_be_visible()
    account.context.set_offline(True)
    account.get_by_label("Name").fill("x")
    account.get_by_role("button", name="Make a key").click()
    expect(problem(account)).to_contain_text("The server cannot be reached. Try again in a moment.")
    assert account.get_by_label("Name").input_value() == "x"


def change_password(page: Page, current: str, new: str, again: str) -> None:
    page.get_by_label("Current password").fill(current)
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("New password again").fill(again)
    page.get_by_role("button", name="Change the password").click()


def test_a_new_password_ends_all_other_sessions(account: Page, server: Process, bob: Person) -> None:
    shown = make_key(account, "doomed")
    key = shown.get_by_label("API key").input_value()
    shown.get_by_role("button", name="I have it").click()

    change_password(account, bob.password, NEW_PASSWORD, NEW_PASSWORD)

    told(account, "The password is changed.")
    expect(account.get_by_text("No keys yet.")).to_be_visible()
    assert not may_enter(server, key)
    assert not may_enter(server, bob.token)
    account.goto(f"{server.url}/devices")
    wait_path(account, "/devices")
    login = {"username": bob.username, "password": NEW_PASSWORD}
    assert httpx.post(f"{server.url}/api/auth/login", json=login, timeout=30).status_code == 200


def test_wrong_and_weak_passwords_are_reported_at_their_fields(account: Page, bob: Person, watch: Watch) -> None:
    watch.network_errors_expected = True
    change_password(account, "not-my-password", NEW_PASSWORD, NEW_PASSWORD)
    expect(problem(account)).to_be_visible()
    expect(account.get_by_label("Current password")).to_have_attribute("aria-invalid", "true")
    change_password(account, bob.password, "1234567890", "1234567890")
    expect(problem(account)).to_contain_text("This password is too common.")
    expect(account.get_by_label("New password", exact=True)).to_be_focused()


def test_two_different_new_passwords_are_not_sent(account: Page, bob: Person) -> None:
    change_password(account, bob.password, NEW_PASSWORD, NEW_PASSWORD + "x")
    again = account.get_by_label("New password again")
    expect(again).to_be_focused()
    assert again.evaluate("field => field.validationMessage") == "The two passwords are not the same."
    login = {"username": bob.username, "password": bob.password}
    assert bob.http.post("/api/auth/login", json=login).status_code == 200
