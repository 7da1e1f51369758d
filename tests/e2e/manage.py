"""Helpers for the pages /devices and /account."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import browser
from tests.e2e.support import DEADLINE_MS


def enter(page: Page, server: Process, person: Person, path: str) -> None:
    """Open `path` with a session of `person`, created through the login form."""
    with browser(server, person) as client:
        cookies = [{"name": name, "value": value, "url": server.url} for name, value in client.cookies.items()]
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.goto(server.url + path)


def card(page: Page, words: str) -> Locator:
    """The card of a device, by its name or id."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=words, exact=True))


def told(page: Page, words: str) -> None:
    """Wait until a status message of the page contains these words."""
    expect(page.locator("main [role=status]").filter(has_text=words)).to_be_visible(timeout=DEADLINE_MS)


def problem(page: Page) -> Locator:
    """The error message of the open form."""
    return page.locator(".problem:visible")


def wait_path(page: Page, path: str) -> None:
    page.wait_for_url(lambda url: urlsplit(url).path == path, timeout=DEADLINE_MS)
