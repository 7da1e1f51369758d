"""clients/javascript in a real browser against the real server, with injected faults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Page, Route

from telemetry.reading import Reading
from telemetry.times import SECOND_US, iso_from_us
from testing.cast import Person, device_share
from testing.process import Process
from testing.proxy import TcpProxy
from testing.servers import server_process
from testing.stack import Stack
from testing.telemetry import now_us, publish, readings_each_second, store
from tests.e2e.houses import in_thread, make_device
from tests.e2e.support import DashboardPage, Watch

pytestmark = pytest.mark.processes

# Records all events of the stream, in order. onReadings returns `gate`, so the stream waits for it if it is set.
FOLLOW = """async ({ devices, options }) => {
  const { LiveStream } = await import('/static/wattstream-client/index.js');
  const { liveTicket } = await import('/static/dashboard/lib/api.js');
  const record = { times: {}, gaps: [], subscribed: [], revoked: [], states: [], tickets: 0, most: 0, gate: null };
  window.record = record;
  window.live = new LiveStream({
    url: `ws://${location.host}/ws/live`,
    ticket: () => { record.tickets++; return liveTicket(); },
    onReadings: (id, readings) => {
      record.most = Math.max(record.most, readings.length);
      (record.times[id] ??= []).push(...readings.map((reading) => reading.time));
      return record.gate;
    },
    onGap: (id, span) => record.gaps.push(span),
    onSubscribed: (id, told) => record.subscribed.push(told),
    onRevoked: (id) => record.revoked.push(id),
    onState: (state) => record.states.push(state),
    ...options,
  });
  for (const [id, since] of Object.entries(devices)) window.live.subscribe(id, since);
}"""


class Follower:
    """A LiveStream of a signed-in user, with its record, on a page that has no stream of its own."""

    def __init__(self, dashboard: DashboardPage, person: Person) -> None:
        self._dashboard = dashboard
        self.page: Page = dashboard.page
        dashboard.sign_in(person.username, person.password)
        self.page.goto(f"{dashboard.url}/account")

    def follow(self, devices: dict[str, str | None], **options: object) -> None:
        self.page.evaluate(FOLLOW, {"devices": devices, "options": options})

    def __getitem__(self, name: str) -> Any:
        return self.page.evaluate("(name) => window.record[name]", name)

    def times(self, device_id: str) -> list[str]:
        found: list[str] = self["times"].get(device_id, [])
        return found

    @property
    def state(self) -> dict[str, Any]:
        states = self["states"]
        return states[-1] if states else {}

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self._dashboard.wait(condition, what)

    def wait_state(self, name: str) -> None:
        self.wait(lambda: self.state.get("name") == name, f"the state {name}")

    def wait_given(self, device_id: str, readings: Sequence[Reading]) -> None:
        """Wait for the last of these readings; assert that exactly these arrived, each once and in order."""
        wanted = times_of(readings)
        self.wait(lambda: wanted[-1] in self.times(device_id), "the last reading")
        assert self.times(device_id) == wanted


def times_of(readings: Sequence[Reading]) -> list[str]:
    return [iso_from_us(reading.us) for reading in readings]


@pytest.fixture
def proxy(server: Process) -> Iterator[TcpProxy]:
    proxy = TcpProxy(("127.0.0.1", server.port))
    yield proxy
    proxy.close()


@pytest.fixture
def follower(dashboard: DashboardPage, proxy: TcpProxy, charlie: Person, watch: Watch) -> Follower:
    """A follower for charlie, through a proxy."""
    watch.network_errors_expected = True
    dashboard.url = f"http://127.0.0.1:{proxy.port}"
    return Follower(dashboard, charlie)


@pytest.fixture
def device_id(charlie: Person) -> str:
    return make_device(charlie)


def recent(device_id: str, count: int) -> list[Reading]:
    return readings_each_second(device_id, now_us() - 10 * count * SECOND_US, count)


def test_from_history_to_live_across_killed_connections(
    follower: Follower, proxy: TcpProxy, stack: Stack, charlie: Person, device_id: str
) -> None:
    readings = recent(device_id, 200)
    store(stack, readings[:50])
    cursor = charlie.http.get(f"/api/history/{device_id}", params={"range": "10m"}).json()["cursor"]
    store(stack, readings[50:])
    follower.follow({device_id: cursor})
    for start in range(50, 200, 50):
        publish(stack, readings[start : start + 25])
        follower.wait(lambda start=start: len(follower.times(device_id)) >= start - 49, "readings")  # type: ignore[misc]
        proxy.kill_connections()
        publish(stack, readings[start + 25 : start + 50])
    follower.wait_given(device_id, readings[50:])
    follower.wait_state("live")
    assert {"offline", "connecting", "catching-up"} <= {state["name"] for state in follower["states"]}
    assert follower.page.evaluate("(id) => window.live.cursor(id)", device_id) == times_of(readings)[-1]


def test_the_client_reconnects_to_a_restarted_server(
    dashboard: DashboardPage, stack: Stack, charlie: Person, logs: Path, watch: Watch
) -> None:
    watch.network_errors_expected = True
    with server_process(stack.env, logs / "client_restart.log") as server:
        dashboard.url = server.url
        follower, device_id = Follower(dashboard, charlie), make_device(charlie)
        readings = recent(device_id, 40)
        store(stack, readings)
        follower.follow({device_id: iso_from_us(readings[0].us - 1)})
        publish(stack, readings[:20])
        follower.wait(lambda: len(follower.times(device_id)) == 40, "what is stored")
        server.stop()
        follower.wait_state("offline")
        assert follower.state["code"] in (1012, 1006)
        missed = readings_each_second(device_id, now_us() - 60 * SECOND_US, 30)
        store(stack, missed)
        publish(stack, missed)
        server.start()
        follower.wait_given(device_id, [*readings, *missed])


def test_an_expired_ticket_is_renewed(follower: Follower, stack: Stack, device_id: str) -> None:
    def outdated(route: Route) -> None:
        """Expire the ticket: Redis drops it after 30 s."""
        answer = route.fetch()
        body = answer.json()
        with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
            assert client.delete(f"wattstream:ticket:{hashlib.sha256(body['ticket'].encode()).hexdigest()}")
        route.fulfill(response=answer, json={**body, "expires_in": 0})

    follower.page.route("**/api/auth/ws-ticket", outdated, times=1)
    follower.follow({device_id: None})
    follower.wait_state("live")
    assert follower["tickets"] == 2
    assert [state.get("code") for state in follower["states"] if state["name"] == "offline"] == [4401]


def test_a_refused_new_ticket_ends_the_stream(follower: Follower, device_id: str) -> None:
    follower.page.route(
        "**/api/auth/ws-ticket", lambda route: route.fulfill(status=201, json={"ticket": "no", "expires_in": 30})
    )
    follower.follow({device_id: None})
    follower.wait_state("ended")
    assert follower.state["code"] == 4401
    assert follower["tickets"] == 1


def test_an_ended_share_ends_only_this_device(
    follower: Follower, stack: Stack, bob: Person, charlie: Person, device_id: str
) -> None:
    shared = make_device(bob)
    in_thread(lambda: device_share(shared, charlie))
    follower.follow({device_id: None, shared: None})
    follower.wait_state("live")
    seen = recent(shared, 1)
    publish(stack, seen)
    follower.wait_given(shared, seen)

    bob.http.delete(f"/api/devices/{shared}/shares/{charlie.username}").raise_for_status()

    follower.wait(lambda: follower["revoked"] == [shared], "the end of the share")
    publish(stack, recent(shared, 1))
    own = recent(device_id, 3)
    publish(stack, own)
    follower.wait_given(device_id, own)
    assert follower.times(shared) == times_of(seen)
    assert follower.state["name"] == "live"


def test_many_devices_share_a_request_and_refused_ones_are_named(
    follower: Follower, stack: Stack, bob: Person, charlie: Person
) -> None:
    """There are more devices than the server allows frames per second."""
    devices = [make_device(charlie) for _ in range(120)]
    foreign = [make_device(bob) for _ in range(2)]
    follower.follow(dict.fromkeys([foreign[0], *devices[:60], foreign[1], *devices[60:]]))
    follower.wait_state("live")
    assert sorted(follower["revoked"]) == sorted(foreign)
    readings = [recent(device_id, 1)[0] for device_id in devices]
    publish(stack, readings)
    follower.wait(lambda: len(follower["times"]) == 120, "a reading of each")
    assert {"offline", "ended"}.isdisjoint({state["name"] for state in follower["states"]})


def test_gaps_are_reported(follower: Follower, stack: Stack, device_id: str) -> None:
    first, late, second = recent(device_id, 3)
    follower.follow({device_id: None})
    follower.wait_state("live")
    publish(stack, [first, second], ring=False)
    follower.wait_given(device_id, [first, second])
    publish(stack, [late], ring=False)
    time = iso_from_us(late.us)
    follower.wait(lambda: follower["gaps"] == [{"from": time, "to": time}], "the gap")


def test_an_incomplete_replay_is_reported(dashboard: DashboardPage, stack: Stack, charlie: Person, logs: Path) -> None:
    with server_process(stack.env | {"LIVE_BACKLOG_MAX_READINGS": "50"}, logs / "client_backlog.log") as server:
        dashboard.url = server.url
        follower, device_id = Follower(dashboard, charlie), make_device(charlie)
        readings = recent(device_id, 100)
        store(stack, readings)
        publish(stack, readings[-10:])
        since = iso_from_us(readings[0].us)
        follower.follow({device_id: since})
        follower.wait(lambda: bool(follower["subscribed"]), "the answer")
        (told,) = follower["subscribed"]
        assert (told["since"], told["recovered"]) == (since, False)
        # After the reported cursor, nothing is missing.
        follower.wait_given(device_id, [reading for reading in readings if iso_from_us(reading.us) > told["cursor"]])


def test_a_hidden_page_disconnects_and_catches_up_when_shown(
    follower: Follower, proxy: TcpProxy, stack: Stack, device_id: str
) -> None:
    readings = recent(device_id, 60)
    store(stack, readings)
    follower.follow({device_id: iso_from_us(readings[0].us - 1)}, pauseHiddenAfterMs=50)
    follower.wait(lambda: len(follower.times(device_id)) == 60, "what is stored")

    be_hidden(follower.page, True)
    follower.wait_state("paused")
    accepted = proxy.connections_accepted
    missed = readings_each_second(device_id, now_us() - 60 * SECOND_US, 30)
    store(stack, missed)
    publish(stack, missed)
    assert len(follower.times(device_id)) == 60
    assert proxy.connections_accepted == accepted

    be_hidden(follower.page, False)
    follower.wait_given(device_id, [*readings, *missed])
    follower.wait_state("live")


def be_hidden(page: Page, hidden: bool) -> None:
    """Simulate a hidden tab: a headless browser cannot hide one."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def test_slow_handlers_pause_the_stream_without_loss(follower: Follower, stack: Stack, device_id: str) -> None:
    readings = recent(device_id, 400)
    follower.follow({device_id: None}, maxWaiting=20)
    follower.wait_state("live")
    follower.page.evaluate("window.record.gate = new Promise((resolve) => { window.go = resolve; }); null")
    publish(stack, readings[:200])
    follower.wait_state("paused")
    publish(stack, readings[200:])
    assert len(follower.times(device_id)) <= 20

    follower.page.evaluate("window.record.gate = null; window.go()")
    follower.wait_given(device_id, readings)
    # One backlog frame of 500 rows may arrive beyond the limit.
    assert follower["most"] <= 20 + 500
