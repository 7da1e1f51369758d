"""The page /devices in a real browser."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from auth_app.tokens.access_tokens import tokens_revoke
from devices_app.models import Device
from devices_app.services import device_provision, device_reissue
from testing.cast import Person
from testing.process import Process
from testing.stack import Stack
from testing.telemetry import now_us, publish, reading_at
from tests.e2e.houses import in_thread, make_device
from tests.e2e.manage import card, enter, problem, told, wait_path
from tests.e2e.support import DEADLINE_MS, Watch

pytestmark = pytest.mark.processes


def provisioned() -> tuple[str, str]:
    """A device without an owner, and its claim code."""
    device_id = f"new_{secrets.token_hex(4)}"
    return device_id, in_thread(lambda: device_provision(device_id=device_id))[1]


def claim(page: Page, device_id: str, code: str) -> None:
    dialog = page.get_by_role("dialog", name="Claim a device")
    if not dialog.is_visible():
        page.get_by_role("button", name="Claim a device").click()
    dialog.get_by_label("Device id").fill(device_id)
    dialog.get_by_label("Claim code").fill(code)
    dialog.get_by_role("button", name="Claim", exact=True).click()


def sees(person: Person, device_id: str) -> bool:
    return person.http.get(f"/api/devices/{device_id}").status_code == 200


@pytest.fixture
def device(bob: Person) -> str:
    """Bob owns it."""
    return make_device(bob)


def test_a_user_without_devices_sees_how_to_add_one(page: Page, server: Process, bob: Person) -> None:
    enter(page, server, bob, "/devices")
    empty = page.get_by_role("region", name="No devices yet")
    expect(empty).to_contain_text("provision_device")
    expect(empty).to_contain_text(bob.username)
    empty.get_by_role("button", name="Claim your first device").click()
    expect(page.get_by_label("Device id")).to_be_focused()
    page.keyboard.press("Escape")
    expect(empty.get_by_role("button", name="Claim your first device")).to_be_focused()


def test_a_device_is_claimed_only_with_its_code(page: Page, server: Process, bob: Person, watch: Watch) -> None:
    watch.network_errors_expected = True
    device_id, code = provisioned()
    enter(page, server, bob, "/devices")
    claim(page, device_id, "WRONG-WRONG-WRONG-WRONG")
    expect(problem(page)).to_have_text("This device cannot be claimed with this code.")
    assert not sees(bob, device_id)

    claim(page, device_id, code.lower())

    told(page, f"{device_id} is yours now.")
    expect(card(page, device_id)).to_contain_text("Yours")
    expect(card(page, device_id)).to_contain_text("Offline, no readings yet")
    assert sees(bob, device_id)


def test_too_many_wrong_codes_show_the_time_to_wait(page: Page, server: Process, bob: Person, watch: Watch) -> None:
    watch.network_errors_expected = True
    for _ in range(settings.CLAIM_FAILURES_PER_USER):
        bob.http.post("/api/devices/claim", json={"device_id": "nothing", "claim_code": "x"})
    enter(page, server, bob, "/devices")
    claim(page, "nothing", "x")
    expect(problem(page)).to_have_text(
        re.compile(r"^Too many attempts\W+try again in \d+ s\. That is at \d\d:\d\d:\d\d\.$", re.IGNORECASE)
    )


def test_a_card_shows_whether_the_device_is_online(
    page: Page, server: Process, stack: Stack, bob: Person, device: str
) -> None:
    minutes = 7
    publish(stack, [reading_at(device, now_us() - minutes * 60_000_000)])
    enter(page, server, bob, "/devices")
    expect(card(page, device)).to_contain_text(f"Offline, last reading {minutes} min ago")
    publish(stack, [reading_at(device, now_us() + 10_000_000)])
    expect(card(page, device).get_by_text("Online", exact=True)).to_be_visible(timeout=DEADLINE_MS)


def test_the_owner_renames_a_device_and_moves_it_to_another_zone(
    page: Page, server: Process, bob: Person, device: str, watch: Watch
) -> None:
    watch.network_errors_expected = True
    enter(page, server, bob, "/devices")
    page.get_by_role("button", name=f"Settings {device}").click()
    page.get_by_label("Name", exact=True).fill("House by the lake")
    page.get_by_label("Time zone").fill("Mars/Base")
    page.get_by_role("button", name="Save").click()
    expect(problem(page)).to_have_text("'Mars/Base' is not an IANA name such as Europe/Berlin.")
    expect(page.get_by_label("Time zone")).to_be_focused()
    expect(page.get_by_label("Time zone")).to_have_attribute("aria-invalid", "true")

    page.get_by_label("Time zone").fill("America/New_York")
    page.get_by_role("button", name="Save").click()

    expect(card(page, "House by the lake")).to_contain_text("America/New_York")
    expect(page.get_by_role("button", name="Settings House by the lake")).to_be_focused()
    answer = bob.http.get(f"/api/devices/{device}").json()
    assert (answer["name"], answer["timezone"]) == ("House by the lake", "America/New_York")


def test_a_share_gives_access_until_it_is_removed(
    page: Page, server: Process, bob: Person, charlie: Person, device: str, watch: Watch
) -> None:
    watch.network_errors_expected = True
    enter(page, server, bob, "/devices")
    page.get_by_role("button", name=f"Share {device}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nobody.")
    dialog.get_by_label("Username").fill("zed_is_unknown")
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(problem(page)).to_have_text("'zed_is_unknown' is nobody here.")

    dialog.get_by_label("Username").fill(charlie.username)
    dialog.get_by_role("button", name="Share", exact=True).click()
    expect(dialog.get_by_role("status")).to_have_text(f"{charlie.username} sees it until you remove it.")
    assert sees(charlie, device)

    dialog.get_by_role("button", name=f"Remove {charlie.username}").click()
    expect(dialog.get_by_role("status")).to_have_text(f"{charlie.username} does not see it any more.")
    expect(dialog).to_contain_text("Nobody.")
    assert not sees(charlie, device)


def test_a_share_can_have_an_expiry(page: Page, server: Process, bob: Person, charlie: Person, device: str) -> None:
    enter(page, server, bob, "/devices")
    page.get_by_role("button", name=f"Share {device}").click()
    page.get_by_label("Username", exact=True).fill(charlie.username)
    page.get_by_label("Until").fill("2031-05-01T14:30")
    zone_offset_min = page.evaluate("new Date('2031-05-01T14:30').getTimezoneOffset()")
    page.get_by_role("dialog").get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_contain_text("until 1 May 2031, 14:30")
    share = bob.http.get(f"/api/devices/{device}/shares").json()[0]
    end = datetime(2031, 5, 1, 14, 30, tzinfo=UTC) + timedelta(minutes=zone_offset_min)
    assert datetime.fromisoformat(share["expires_at"]) == end


def test_a_guest_can_only_view_the_device_until_the_share_expires(
    page: Page, server: Process, bob: Person, charlie: Person, device: str
) -> None:
    enter(page, server, charlie, "/devices")
    end = datetime.now(UTC) + timedelta(seconds=12)
    share = {"username": charlie.username, "expires_at": end.isoformat()}
    bob.http.post(f"/api/devices/{device}/shares", json=share).raise_for_status()
    expect(card(page, device)).to_contain_text(f"Shared by {bob.username} until", timeout=DEADLINE_MS)
    expect(card(page, device).get_by_role("button")).to_have_count(0)
    expect(card(page, device).get_by_role("link", name=f"Chart {device}")).to_be_visible()

    expect(card(page, device)).to_have_count(0, timeout=DEADLINE_MS)
    expect(page.get_by_role("heading", name="No devices yet")).to_be_visible()


def test_a_device_shows_its_log(page: Page, server: Process, bob: Person, charlie: Person, device: str) -> None:
    bob.http.post(f"/api/devices/{device}/shares", json={"username": charlie.username}).raise_for_status()
    bob.http.delete(f"/api/devices/{device}/shares/{charlie.username}").raise_for_status()
    enter(page, server, bob, "/devices")
    page.get_by_role("button", name=f"History {device}").click()
    dialog = page.get_by_role("dialog", name=f"History of {device}")
    expect(dialog.get_by_role("row")).to_have_count(3)
    expect(dialog.get_by_role("row").nth(1)).to_contain_text(f"Share removed · with {charlie.username}")
    expect(dialog.get_by_role("row").nth(2)).to_contain_text(f"by {bob.username} from 127.0.0.1")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name=f"History {device}")).to_be_focused()


def test_a_transferred_device_belongs_to_the_new_owner_once_accepted(
    page: Page, server: Process, bob: Person, charlie: Person, device: str
) -> None:
    enter(page, server, bob, "/devices")
    page.get_by_role("button", name=f"Transfer {device}").click()
    dialog = page.get_by_role("dialog", name=f"Transfer {device}")
    dialog.get_by_label("Username of the new owner").fill(charlie.username)
    dialog.get_by_role("button", name="Transfer").click()
    assert charlie.http.get("/api/transfers").json() == [], "nothing happens before it was confirmed"
    dialog.get_by_role("checkbox", name=f"I will no longer see {device}").check()
    dialog.get_by_role("button", name="Transfer").click()

    told(page, f"{device} is offered to {charlie.username}. It stays yours until they accept.")
    waiting = page.get_by_role("region", name="Transfers that wait")
    expect(waiting).to_contain_text(f"{device} is offered to {charlie.username}")
    assert sees(bob, device)
    assert not sees(charlie, device)

    offer = charlie.http.get("/api/transfers").json()[0]
    assert offer["with_history"] is False
    charlie.http.post(f"/api/transfers/{offer['id']}/accept").raise_for_status()
    expect(card(page, device)).to_have_count(0, timeout=DEADLINE_MS)
    expect(waiting).to_be_hidden()


@pytest.mark.parametrize("answer", ["Accept", "Decline"])
def test_an_offered_device_is_accepted_or_declined(
    page: Page, server: Process, bob: Person, charlie: Person, device: str, answer: str
) -> None:
    offer = {"username": charlie.username, "with_history": True}
    bob.http.post(f"/api/devices/{device}/transfer", json=offer).raise_for_status()
    enter(page, server, charlie, "/devices")
    waiting = page.get_by_role("region", name="Transfers that wait")
    expect(waiting).to_contain_text(f"{bob.username} offers you {device}")
    expect(waiting).to_contain_text("with all its readings")
    page.get_by_role("button", name=f"{answer} {device}").click()
    told(page, f"{device} is yours now." if answer == "Accept" else f"The transfer of {device} has ended.")
    expect(waiting).to_be_hidden()
    assert sees(charlie, device) is (answer == "Accept")
    assert sees(bob, device) is (answer == "Decline")


def test_a_released_device_is_claimed_again_with_a_new_code(
    page: Page, server: Process, bob: Person, watch: Watch
) -> None:
    watch.network_errors_expected = True
    device_id, code = provisioned()
    enter(page, server, bob, "/devices")
    claim(page, device_id, code)
    told(page, f"{device_id} is yours now.")

    page.get_by_role("button", name=f"Release {device_id}").click()
    dialog = page.get_by_role("dialog", name=f"Release {device_id}")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Release").click()
    told(page, f"{device_id} is released")
    expect(page.get_by_role("heading", name="No devices yet")).to_be_visible()
    assert not sees(bob, device_id)

    claim(page, device_id, code)
    expect(problem(page)).to_contain_text("cannot be claimed with this code")
    claim(page, device_id, in_thread(lambda: device_reissue(device=Device.objects.get(device_id=device_id))))
    told(page, f"{device_id} is yours now.")
    assert sees(bob, device_id)


def test_after_an_ended_session_login_returns_to_the_page(
    page: Page, server: Process, bob: Person, device: str, watch: Watch
) -> None:
    watch.network_errors_expected = True
    enter(page, server, bob, "/devices")
    expect(card(page, device)).to_be_visible()
    in_thread(lambda: tokens_revoke(bob.user.access_tokens.filter(kind="session")))
    wait_path(page, "/login")
    page.get_by_label("Username").fill(bob.username)
    page.get_by_label("Password").fill(bob.password)
    page.get_by_role("button", name="Sign in").click()
    wait_path(page, "/devices")
    expect(card(page, device)).to_be_visible()


def test_an_anonymous_visitor_logs_in_and_returns(page: Page, server: Process, bob: Person) -> None:
    page.goto(f"{server.url}/devices")
    expect(page).to_have_url(f"{server.url}/login?next=/devices")


def test_an_unreachable_server_is_reported_and_retried(
    page: Page, server: Process, bob: Person, device: str, watch: Watch
) -> None:
    watch.network_errors_expected = True
    enter(page, server, bob, "/devices")
    expect(card(page, device)).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#notice")).to_contain_text("The server cannot be reached.", timeout=DEADLINE_MS)
    expect(card(page, device)).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#notice")).to_be_hidden(timeout=DEADLINE_MS)
