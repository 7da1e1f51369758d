"""The dashboard over HTTPS: a real browser, a real nginx that terminates TLS, and a server with TLS=1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from playwright.sync_api import Browser, Page

from testing.cast import Person
from testing.process import Process, free_port
from testing.servers import server_process
from testing.stack import Stack
from tests.e2e.support import DashboardPage, Watch
from tests.project.front import front_before

pytestmark = pytest.mark.processes


@pytest.fixture
def https_url(stack: Stack, writer: Process, tmp_path: Path) -> Iterator[str]:
    """Behind deploy/nginx.conf, which here listens with a certificate too."""
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "front.pem")
    port = free_port()
    tls = (
        f"listen 127.0.0.1:{port} ssl; ssl_certificate {tmp_path}/front.pem; ssl_certificate_key {tmp_path}/front.pem;"
    )
    env = {**stack.env, "TLS": "1", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    with (
        server_process(env, tmp_path / "server.log") as server,
        front_before(server.url, writer.url, tls=tls),
    ):
        yield f"https://127.0.0.1:{port}"


@pytest.fixture
def https_page(browser: Browser, watch: Watch) -> Iterator[Page]:
    """A new visitor who trusts the certificate of the test."""
    with browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800}) as context:
        watch.follow(context)
        yield context.new_page()
    watch.check()


def test_history_and_live_over_https(https_url: str, https_page: Page, owner: Person, house: str) -> None:
    """Signing in, reading history, and a socket by a ticket, for which the page reads its prefixed CSRF cookie."""
    dashboard = DashboardPage(https_page, https_url)
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    dashboard.wait_live()
    names = {cookie.get("name"): cookie for cookie in https_page.context.cookies()}
    assert names.keys() == {"__Host-sessionid", "__Host-csrftoken"}
    assert all(cookie.get("secure") for cookie in names.values())
    dashboard.page.get_by_role("button", name="Sign out").click()
    dashboard.page.wait_for_url(f"{https_url}/login")
