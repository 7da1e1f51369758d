"""The pages for managing things, as a person uses them."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from testing.cast import Person
from testing.process import Process
from tests.auth_app.answers import browser
from tests.e2e.support import DEADLINE_MS


def enter(page: Page, server: Process, person: Person, path: str) -> None:
    """Open `path` with a session that the form gave to `person`."""
    with browser(server, person) as client:
        cookies = [{"name": name, "value": value, "url": server.url} for name, value in client.cookies.items()]
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.goto(server.url + path)


def card(page: Page, words: str) -> Locator:
    """A device's card, by its name or id."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=words, exact=True))


def told(page: Page, words: str) -> None:
    """Wait until the page says this, politely."""
    expect(page.locator("main [role=status]").filter(has_text=words)).to_be_visible(timeout=DEADLINE_MS)


def problem(page: Page) -> Locator:
    """What is wrong, in the form that is open."""
    return page.locator(".problem:visible")


def wait_path(page: Page, path: str) -> None:
    page.wait_for_url(lambda url: urlsplit(url).path == path, timeout=DEADLINE_MS)
