"""Costs of the page: bytes, memory, long tasks. All are counts and sizes, which do not depend on the load."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from playwright.sync_api import CDPSession

from telemetry.times import SECOND_US
from testing.cast import Person
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second
from tests.e2e.houses import make_device
from tests.e2e.support import DashboardPage

pytestmark = pytest.mark.processes

logger = logging.getLogger(__name__)  # the figures, with --log-cli-level=INFO
PAGE_BYTES = 150 * 1024
# Permitted growth in two hours: noise of the heap, far less than the readings (about 300 bytes each).
HEAP_NOISE_BYTES = 400_000

WATCH = """() => {
  window.seen = { shift: 0, moved: [], tasks: [] };
  new PerformanceObserver((list) => {
    for (const { hadRecentInput, value, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      window.seen.shift += value;
      window.seen.moved.push(...sources.map(({ node }) => `${value} ${node?.nodeName} ${node?.id} ${node?.className}`));
    }
  }).observe({ type: 'layout-shift', buffered: true });
  new PerformanceObserver((list) => window.seen.tasks.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: 'longtask', buffered: true });
}"""


@pytest.fixture
def at_home(dashboard: DashboardPage, owner: Person, house: str) -> DashboardPage:
    dashboard.page.add_init_script(f"({WATCH})()")
    dashboard.sign_in(owner.username, owner.password)
    dashboard.wait_drawn("24h")
    return dashboard


def test_the_page_transfers_few_bytes(at_home: DashboardPage) -> None:
    """Bytes on the wire with an empty cache: the page, its modules, styles and the first data."""
    at_home.wait_live()
    sizes: dict[str, int] = at_home.page.evaluate(
        """() => Object.fromEntries([...performance.getEntriesByType('navigation'),
             ...performance.getEntriesByType('resource')].map((entry) => [entry.name, entry.transferSize]))"""
    )
    assert any("uPlot" in name for name in sizes)
    assert all(sizes[name] > 0 for name in sizes if "/static/" in name)
    logger.info("%d bytes: %s", sum(sizes.values()), sizes)
    assert sum(sizes.values()) < PAGE_BYTES, sizes


def test_the_layout_does_not_shift_while_loading(at_home: DashboardPage) -> None:
    at_home.wait_live()
    at_home.page.locator("#energy-rows td", has_text=".").first.wait_for()
    shift, moved = at_home.page.evaluate("[window.seen.shift, window.seen.moved]")
    assert shift < 0.02, moved


def test_readings_cause_few_long_tasks(at_home: DashboardPage) -> None:
    """Ten seconds of readings in the finest view. A busy machine causes some long tasks, but not one per reading."""
    at_home.choose("10 min")
    at_home.wait_live()
    before = at_home.through
    at_home.page.evaluate("window.seen.tasks.length = 0")
    at_home.wait(lambda: (at_home.through - before).total_seconds() >= 10, "ten readings")
    tasks = at_home.page.evaluate("window.seen.tasks")
    logger.info("%d long tasks: %s", len(tasks), tasks)
    assert len(tasks) < 10


def test_memory_is_bounded_by_the_view(dashboard: DashboardPage, stack: Stack, charlie: Person) -> None:
    """Send three hours of readings at 1 Hz through the real server, as fast as possible. Compare the heap after a
    garbage collection, once the ten minutes shown are full, with the heap two hours later."""
    device_id = make_device(charlie)
    first = now_us() - 3 * 3600 * SECOND_US  # the server holds readings that are ahead of its clock
    dashboard.page.clock.set_system_time(first / 1e6)
    dashboard.sign_in(charlie.username, charlie.password)
    dashboard.choose("10 min")
    dashboard.wait_live()
    session = dashboard.page.context.new_cdp_session(dashboard.page)
    readings = readings_each_second(device_id, first, 3 * 3600)
    used = []
    for start in range(0, len(readings), 300):
        publish(stack, readings[start : start + 300])
        last = datetime.fromtimestamp((readings[start + 299].us - SECOND_US / 10) / 1e6, UTC)
        dashboard.page.clock.set_system_time(last)
        dashboard.wait_through(last)
        used.append(heap(session))
    after_one_hour, after_three = used[len(used) // 3], used[-1]
    logger.info("%d bytes after one hour, %d after three", after_one_hour, after_three)
    assert 590 <= dashboard.points <= 602
    assert after_three - after_one_hour < HEAP_NOISE_BYTES, used


def heap(session: CDPSession) -> int:
    session.send("HeapProfiler.collectGarbage")
    return int(session.send("Runtime.getHeapUsage")["usedSize"])
