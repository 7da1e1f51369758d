"""docs/getting-started.md, executed literally: its commands in a shell, its clicks in a browser."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from telemetry.names import ring_key
from testing.docs import Shell, block, blocks, clean_env
from testing.process import ROOT
from testing.stack import Stack
from testing.waiting import wait_until
from tests.e2e.manage import card, told, wait_path
from tests.e2e.support import DEADLINE_MS, DashboardPage

pytestmark = pytest.mark.processes

PAGE = "getting-started.md"
READY = "Ctrl-C stops everything"
# One day of history instead of thirty saves time. Everything else is as on the page.
LESS = ["--days", "1"]


@pytest.fixture
def env(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """A new terminal. The demo has separate accounts and stores its readings in this run's databases."""
    with Redis.from_url(stack.env["REDIS_URL"]) as client:
        client.delete(ring_key("ems_001"))  # left by an earlier run
    databases = {name: stack.env[name] for name in ("TELEMETRY_URL", "TELEMETRY_ADMIN_URL", "REDIS_URL")}
    return clean_env(DEMO_FOLDER=str(tmp_path / "demo"), **databases)


@pytest.fixture
def demo(env: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The output of the demo after its start."""
    log = tmp_path / "demo.log"
    command = block(PAGE, "sh", "./scripts/demo\n").split() + LESS
    with log.open("w") as output:
        demo = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output)
    try:
        wait_until(lambda: demo.poll() is not None or READY in log.read_text(), "the demo is up", deadline_s=240)
        assert demo.poll() is None, log.read_text()
        yield log.read_text()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(60)


@pytest.fixture
def program() -> Iterator[Path]:
    """The file in which the page saves the device's program."""
    path = ROOT / ".local/my_device.py"
    path.write_text("\n".join(blocks(PAGE, "python")))
    yield path
    path.unlink()


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, text
    return match[1]


def test_the_page_leads_from_a_clone_to_readings_on_the_chart(
    page: Page, demo: str, env: dict[str, str], program: Path, tmp_path: Path
) -> None:
    address, password = found(r"page +(http://\S+)", demo), found(r"alice / (\S+)", demo)
    dashboard = DashboardPage(page, address)
    dashboard.sign_in("alice", password)
    dashboard.wait_drawn("24h")
    with Shell(env) as shell:
        shell.run(block(PAGE, "sh", "--env"))
        told_once = shell.run(block(PAGE, "sh", "provision_device"))
        key, code = found(r"^device key: (\S+)$", told_once), found(r"^claim code: (\S+)$", told_once)
        shell.run(block(PAGE, "sh", "DEVICE_KEY="), wsd_=key)

        claim(page, code)
        expect(card(page, "My house")).to_contain_text("Offline, no readings yet")
        answer = shell.run(block(PAGE, "sh", "$(date")).strip()
        assert answer == '{"accepted":1,"refused":[],"adjusted":[],"ignored":[]}'
        expect(card(page, "My house").get_by_text("Online", exact=True)).to_be_visible(timeout=DEADLINE_MS)

        log = tmp_path / "my_device.log"
        shell.start(block(PAGE, "sh", program.name), log)
        see_it_grow(page, dashboard)
        answers = shell.run(block(PAGE, "sh", "TOKEN="), **{"sunny-": password})
    page.close()  # before the demo ends
    assert '"device_id":"ems_001"' in answers
    assert '"solar_power":{"unit":"W","avg":[' in answers


def claim(page: Page, code: str) -> None:
    """Step 3, with the bold words of the page."""
    page.get_by_role("link", name="Devices").click()
    wait_path(page, "/devices")
    page.get_by_role("button", name="Claim a device").click()
    page.get_by_label("Device id").fill("ems_001")
    page.get_by_label("Claim code").fill(code)
    page.get_by_role("button", name="Claim", exact=True).click()
    told(page, "My house is yours now.")


def see_it_grow(page: Page, dashboard: DashboardPage) -> None:
    """Step 5, with the bold words of the page."""
    page.get_by_role("link", name="Chart", exact=True).click()
    option = page.get_by_label("Device", exact=True).locator("option", has_text="My house")
    page.get_by_label("Device", exact=True).select_option(value=option.get_attribute("value", timeout=DEADLINE_MS))
    dashboard.choose("10 min")
    dashboard.wait_live()
    before = dashboard.points
    dashboard.wait(lambda: dashboard.points > before + 2, "the line grows")
