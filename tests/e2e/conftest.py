"""A real Chromium, a house with a month of history that keeps sending, and users who sign in through the form.

The browser ends with this package: Playwright's sync API keeps an event loop running in this thread, and the async
tests elsewhere want to start loops of their own.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from testing.process import ROOT, Process
from testing.stack import Stack
from tests.e2e.support import DashboardPage, Watch

if TYPE_CHECKING:
    from testing.cast import Person

CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = subprocess.run(
        [sys.executable, "scripts/browser"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=300
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    """What a page must not do. `page` checks it at the end of the test."""
    return Watch()


@pytest.fixture
def page(browser: Browser, watch: Watch) -> Iterator[Page]:
    """A page of a new visitor. Console errors, policy violations and requests to other hosts fail the test."""
    with browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB") as context:
        watch.follow(context)
        yield context.new_page()
    watch.check()


@pytest.fixture
def dashboard(page: Page, server: Process) -> DashboardPage:
    return DashboardPage(page, server.url)


def make_person(name: str, server: Process) -> Iterator[Person]:
    from testing.cast import person_create
    from tests.e2e.houses import in_thread

    person = in_thread(lambda: person_create(f"{name}_{secrets.token_hex(4)}", base_url=server.url))
    yield person
    person.http.close()


@pytest.fixture(scope="package")
def owner(server: Process) -> Iterator[Person]:
    """She owns the `house`."""
    yield from make_person("olivia", server)


@pytest.fixture
def bob(server: Process) -> Iterator[Person]:
    yield from make_person("bob", server)


@pytest.fixture
def charlie(server: Process) -> Iterator[Person]:
    yield from make_person("charlie", server)


@pytest.fixture(scope="package")
def house(owner: Person, stack: Stack, writer: Process, logs: Path) -> Iterator[str]:
    """A device with a month of stored history (a day of it every second) that sends one reading per second."""
    from tests.e2e.houses import make_device, simulator, store_month

    device_id = make_device(owner)
    store_month(stack, device_id)
    with simulator(stack, writer, device_id, log=logs / "simulator.log"):
        yield device_id
