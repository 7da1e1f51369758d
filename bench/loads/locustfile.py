"""Dashboards for locust: they log in, load history, watch, sleep, resume, and sometimes export.

`./scripts/bench load` runs them against a temporary site. For another site, from several machines:

    locust -f bench/loads/locustfile.py --master --expect-workers 4 --headless -u 400 -r 10 -t 10m --host https://…
    locust -f bench/loads/locustfile.py --worker --master-host …          on each of the others

BENCH_USERS and BENCH_PASSWORD select the accounts: viewer_0 … viewer_{BENCH_USERS-1}. BENCH_OUT: file for the
statistics of the master (or the only process), as JSON. BENCH_HOSTS: server processes to spread over, instead of
--host. Run it from the root of the repository.

Latency is the time from a reading's timestamp, which the device sets, to its arrival: both clocks must agree. When a
dashboard ends, it exports the stored readings and compares. `lost reading` and `doubled reading` are recorded as
failures, because locust sums failures over its workers.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import gevent
import websocket
from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.exception import StopUser

from bench.loads.accounts import PASSWORD, viewer_name
from bench.loads.locust_live import LocustSocket, Readings
from telemetry.times import iso_from_us, us_from_iso

RANGES = ("10m",) * 8 + ("1h",) * 5 + ("24h",) * 4 + ("7d",) * 2 + ("30d",)
EXPORT_S = 3600
COMPARE_S = 90.0
STORED_S = 3.0  # readings are published before they are stored
PERCENTILES = (0.5, 0.9, 0.99, 1.0)
ACCOUNTS = int(os.environ.get("BENCH_USERS", "1"))
HOSTS = [host for host in os.environ.get("BENCH_HOSTS", "").split(",") if host]
_numbers: Iterator[int] = count(random.randrange(ACCOUNTS))


class Dashboard(FastHttpUser):
    """One user with one page that shows all their devices."""

    wait_time = between(1, 5)
    network_timeout = 30.0
    connection_timeout = 10.0

    def __init__(self, environment: Environment) -> None:
        self.number = next(_numbers)
        if HOSTS:
            self.host = HOSTS[self.number % len(HOSTS)]
        super().__init__(environment)

    def on_start(self) -> None:
        self.readings = Readings()
        self.live: LocustSocket | None = None
        account = {
            "username": viewer_name(self.number % ACCOUNTS),
            "password": os.environ.get("BENCH_PASSWORD", PASSWORD),
        }
        with self.client.post("/api/auth/login", json=account, name="login", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"no login: {answer.status_code}")
                raise StopUser
            self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        self.devices = [device["device_id"] for device in self._get("/api/devices", "devices") or []]
        for device in self.devices:
            answer_10m = self._get(f"/api/history/{device}?range=10m", "history 10m")
            self.readings.begin(device, answer_10m["cursor"] if answer_10m else None)
        self.watch()

    def on_stop(self) -> None:
        if self.live is not None:
            self.live.close()
        gevent.sleep(STORED_S)
        for device in self.readings.given:
            self._compare(device)

    @task(12)
    def history(self) -> None:
        asked = random.choice(RANGES)
        self._get(f"/api/history/{random.choice(self.devices)}?range={asked}", f"history {asked}")
        self.watch()

    @task(2)
    def latest(self) -> None:
        self._get(f"/api/latest?devices={','.join(self.devices)}", "latest")

    @task(2)
    def sleep_and_come_back(self) -> None:
        if self.live is not None:
            self.live.drop()
            self.live = None
        self.wait()  # type: ignore[no-untyped-call]
        self.watch()

    @task(1)
    def export(self) -> None:
        device = random.choice(self.devices)
        end = self.readings.given[device][-1] if self.readings.given[device] else None
        if end is not None:
            self._export(device, end - EXPORT_S * 1_000_000, end)

    def watch(self) -> None:
        """Open a socket unless one is open: get a ticket and resume from the last reading."""
        if self.live is not None and self.live.is_open:
            return
        with self.client.post(
            "/api/auth/ws-ticket", headers=self.headers, name="ticket", catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"no ticket: {answer.status_code}")
                return
            ticket = answer.json()["ticket"]
        url = str(self.host).replace("http", "ws", 1) + "/ws/live"
        try:
            self.live = LocustSocket(url, ticket, self.readings, self._measured)
        except (OSError, websocket.WebSocketException) as error:
            self._failed("socket", error)

    def _compare(self, device: str) -> None:
        """Compare the received readings with the stored ones between the first cursor and the last received reading."""
        given = self.readings.given[device]
        if not given:
            return
        stored = self._stored(device, self.readings.since[device] + 1, given[-1] + 1)
        if stored is None:
            self._failed("not compared", TimeoutError(f"no export within {COMPARE_S} s"))
            return
        for _ in stored - set(given):
            self._failed("lost reading", LookupError("stored but not received"))
        for _ in set(given) - stored:
            self._failed("unknown reading", LookupError("received but not stored"))
        for _ in range(self.readings.doubled):
            self._failed("doubled reading", LookupError("received twice"))
        for _ in range(self.readings.named):
            self._measured("named gap", 0.0)
        for _ in range(self.readings.holes):
            self._measured("second without a reading", 0.0)
        self.readings.doubled = self.readings.named = self.readings.holes = 0

    def _stored(self, device: str, start_us: int, end_us: int) -> set[int] | None:
        """Export and retry refusals: all dashboards end at once, and the server limits concurrent exports."""
        deadline = time.monotonic() + COMPARE_S
        while (stored := self._export(device, start_us, end_us, is_patient=True)) is None:
            if time.monotonic() > deadline:
                return None
            gevent.sleep(random.uniform(0.5, 3))
        return stored

    def _export(self, device: str, start_us: int, end_us: int, *, is_patient: bool = False) -> set[int] | None:
        """Return the stored times (µs) in [start, end), or None on failure. `is_patient`: a 503 is not a failure."""
        span = f"start={iso_from_us(max(0, start_us))}&end={iso_from_us(end_us)}"
        path = f"/api/history/{device}/export?{span}&format=ndjson"
        with self.client.get(path, headers=self.headers, name="export", catch_response=True) as answer:
            if answer.status_code == 503 and is_patient:
                answer.success()
                self._measured("export refused for now", 0.0)
                return None
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}")
                return None
            return {us_from_iso(json.loads(line)["time"]) for line in (answer.text or "").splitlines()}

    def _get(self, path: str, name: str) -> Any:
        """Return the response as JSON, or None on failure."""
        with self.client.get(path, headers=self.headers, name=name, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}")
                return None
            return answer.json()

    def _measured(self, kind: str, ms: float) -> None:
        self._fire(kind, ms, None)

    def _failed(self, kind: str, error: Exception) -> None:
        self._fire(kind, 0.0, error)

    def _fire(self, kind: str, ms: float, error: Exception | None) -> None:
        told = {"request_type": "live", "name": kind, "response_time": ms, "exception": error}
        events.request.fire(**told, response_length=0, context={})  # type: ignore[no-untyped-call]


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def report(environment: Environment, **_: object) -> None:
    """Write the statistics of all workers."""
    out = os.environ.get("BENCH_OUT")
    if out and environment.parsed_options is not None and not environment.parsed_options.worker:
        rows = [_row(entry) for entry in environment.stats.entries.values()]
        errors = [error.to_dict() for error in environment.stats.errors.values()]  # type: ignore[no-untyped-call]
        Path(out).write_text(json.dumps({"entries": rows, "errors": errors}, default=str))


def _row(entry: Any) -> dict[str, Any]:
    names = ("p50_ms", "p90_ms", "p99_ms", "max_ms")
    times = {name: entry.get_response_time_percentile(share) for name, share in zip(names, PERCENTILES, strict=True)}
    counted = {"count": entry.num_requests, "failures": entry.num_failures, "per_second": entry.total_rps}
    return {"kind": entry.method, "name": entry.name, **counted, **times}
