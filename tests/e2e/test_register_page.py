"""The page /register, and the link to it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from testing.cast import PASSWORD, Person
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack
from tests.e2e.manage import wait_path
from tests.e2e.support import Watch

pytestmark = pytest.mark.processes


def register(page: Page, username: str, password: str, again: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Password again").fill(again)
    page.get_by_role("button", name="Create the account").click()


def test_a_new_user_registers_and_sees_the_dashboard(page: Page, server: Process, bob: Person, watch: Watch) -> None:
    watch.network_errors_expected = True
    page.goto(f"{server.url}/devices")
    page.get_by_role("link", name="Create an account").click()
    register(page, bob.username, PASSWORD, PASSWORD)
    expect(page.get_by_role("alert")).to_have_text("username: this name is taken.")
    name = f"newcomer_{secrets.token_hex(4)}"
    register(page, name, PASSWORD, PASSWORD + "x")
    expect(page.get_by_role("alert")).to_have_text("The two passwords are not the same.")
    expect(page.get_by_label("Username")).to_have_value(name)

    register(page, name, PASSWORD, PASSWORD)

    wait_path(page, "/devices")
    expect(page.get_by_role("heading", name="No devices yet")).to_be_visible()
    expect(page.get_by_role("banner")).to_contain_text(name)


def test_closed_registration_has_no_link_and_shows_a_message(
    page: Page, stack: Stack, logs: Path, watch: Watch
) -> None:
    with server_process(stack.env | {"ALLOW_REGISTRATION": "0"}, logs / "closed_pages.log") as closed:
        page.goto(f"{closed.url}/login")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(page.get_by_role("link")).to_have_count(0)
        page.goto(f"{closed.url}/register")
        expect(page.get_by_role("main")).to_contain_text("Registration is closed here.")
        expect(page.get_by_role("textbox")).to_have_count(0)
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
