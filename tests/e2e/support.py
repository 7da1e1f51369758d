"""The dashboard page as a user operates it, and what it must not do."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Download, Locator, Page, Request, expect

DEADLINE_MS = 45_000  # the machine may be busy
PAUSE_MS = 50.0
# Messages of Chromium about error responses and unreachable servers.
NETWORK_ERRORS = ("Failed to load resource", "WebSocket connection to")


@dataclass
class Watch:
    """Collects what a page must not do: console errors, which include policy violations, and foreign requests."""

    problems: list[str] = field(default_factory=list)
    network_errors_expected: bool = False

    def follow(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))

    def check(self) -> None:
        assert not self.problems, self.problems

    def _console(self, message: ConsoleMessage) -> None:
        is_network = message.text.startswith(NETWORK_ERRORS)
        if message.type in {"error", "warning"} and not (is_network and self.network_errors_expected):
            self.problems.append(f"{message.type}: {message.text} {message.location}")

    def _request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in {"127.0.0.1", None}:
            self.problems.append(f"asked {request.url}")


class DashboardPage:
    """The page at `/`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def sign_in(self, username: str, password: str) -> None:
        """Open the page, follow the redirect to the form, and submit it."""
        self.page.goto(self.url)
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: urlsplit(url).path != "/login")

    def choose(self, label: str) -> None:
        """Choose a range by its button, and wait until it is drawn."""
        self.page.get_by_role("button", name=label, exact=True).click()
        self.wait_drawn(label.replace(" ", "").replace("min", "m"))

    def wait_drawn(self, range_key: str) -> None:
        expect(self.page.locator(f"#view[data-view='ready'][data-range='{range_key}']")).to_be_visible(
            timeout=DEADLINE_MS
        )

    def wait_state(self, state: str) -> None:
        expect(self.status).to_have_attribute("data-state", state, timeout=DEADLINE_MS)

    def wait_live(self) -> None:
        self.wait_state("live")

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    @property
    def notice(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def devices(self) -> list[str]:
        return self.page.get_by_label("Device", exact=True).locator("option").all_text_contents()

    def drawn(self, name: str) -> str:
        """`points`, `newest`, `through` or `resolution` of the current drawing."""
        return self.page.locator("#power").get_attribute(f"data-{name}", timeout=DEADLINE_MS) or ""

    @property
    def points(self) -> int:
        return int(self.drawn("points") or 0)

    @property
    def through(self) -> datetime:
        """The time of the newest reading that is drawn."""
        return datetime.fromisoformat(self.drawn("through") or "1970-01-01T00:00:00Z")

    def wait(self, condition: Callable[[], bool], what: str, deadline_ms: float = DEADLINE_MS) -> None:
        """Wait until a condition holds. The page keeps running."""
        end = time.monotonic() + deadline_ms / 1000
        while not condition():
            assert time.monotonic() < end, f"not within {deadline_ms} ms: {what}"
            self.page.wait_for_timeout(PAUSE_MS)

    def wait_through(self, moment: datetime) -> None:
        self.wait(lambda: self.through >= moment, f"a reading of {moment} drawn")

    def canvas_fills_its_card(self) -> bool:
        return bool(self.page.evaluate(CANVAS_FILLS_CARD))

    def coloured_pixels(self, chart: str, colour: str, *, left: float = 0, right: float = 1) -> int:
        """Count the pixels of a chart that have the colour of a custom property of the style sheet.

        `left`, `right`: count only between these fractions of the canvas's width.
        """
        count: int = self.page.evaluate(COUNT_PIXELS, [chart, colour, left, right])
        return count


CANVAS_FILLS_CARD = """() => {
  const boxOf = (selector) => document.querySelector(selector).getBoundingClientRect();
  const [canvas, card] = [boxOf("#power canvas"), boxOf("#power")];
  return card.width - canvas.width < 40 && canvas.right <= card.right && card.right <= innerWidth;
}"""

COUNT_PIXELS = """([chart, colour, left, right]) => {
  const plot = document.querySelector(`#${chart} canvas`);
  const size = { width: plot.width, height: plot.height };
  const copy = Object.assign(document.createElement("canvas"), size).getContext("2d", { willReadFrequently: true });
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${colour})`;
  copy.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  copy.fillRect(0, 0, 1, 1);
  const wanted = copy.getImageData(0, 0, 1, 1).data;
  copy.clearRect(0, 0, 1, 1);
  copy.drawImage(plot, 0, 0);
  const [x, width] = [left * plot.width, (right - left) * plot.width].map(Math.round);
  const data = copy.getImageData(x, 0, width, plot.height).data;
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if ([0, 1, 2].every((part) => Math.abs(data[i + part] - wanted[part]) < 24) && data[i + 3] > 200) count++;
  }
  return count;
}"""


def utc_now() -> datetime:
    return datetime.now(UTC)


def content(download: Download) -> str:
    return Path(download.path()).read_text()


def csv_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
