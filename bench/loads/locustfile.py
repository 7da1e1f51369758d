"""Dashboards for locust: they sign in, look at history, watch, fall asleep, come back, and now and then export.

`./scripts/bench load` runs them against a site of its own. Against another site, from several machines:

    locust -f bench/loads/locustfile.py --master --expect-workers 4 --headless -u 400 -r 10 -t 10m --host https://…
    locust -f bench/loads/locustfile.py --worker --master-host …          on each of the others

BENCH_USERS and BENCH_PASSWORD name the accounts: viewer_0 … viewer_{BENCH_USERS-1}. BENCH_OUT: where the master (or
the only process) writes its statistics as JSON. BENCH_HOSTS: server processes to spread over, instead of --host.
Run it from the root of the repository.

A reading's latency is from its own stamp, which a device sets, to its arrival here: the clocks of both have to agree.
When a dashboard ends it exports what was stored while it watched, and compares: `lost reading` and `doubled reading`
are counted as failures, so that they add up over workers, too.
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
from bench.loads.locust_live import LiveSocket, Readings
from telemetry.times import iso_from_us, us_from_iso

RANGES = ("10m",) * 8 + ("1h",) * 5 + ("24h",) * 4 + ("7d",) * 2 + ("30d",)
EXPORT_S = 3600
COMPARE_S = 90.0
STORED_S = 3.0  # a reading is published before it is stored
PERCENTILES = (0.5, 0.9, 0.99, 1.0)
ACCOUNTS = int(os.environ.get("BENCH_USERS", "1"))
HOSTS = [host for host in os.environ.get("BENCH_HOSTS", "").split(",") if host]
_numbers: Iterator[int] = count(random.randrange(ACCOUNTS))


class Dashboard(FastHttpUser):
    """One person with one page open on all devices that they may see."""

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
        self.live: LiveSocket | None = None
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
        """A socket, where there is none: after a ticket, from the last reading on."""
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
            self.live = LiveSocket(url, ticket, self.readings, self._measured)
        except (OSError, websocket.WebSocketException) as error:
            self._failed("socket", error)

    def _compare(self, device: str) -> None:
        """With what is stored between the first cursor and the last reading that was given."""
        given = self.readings.given[device]
        if not given:
            return
        stored = self._stored(device, self.readings.since[device] + 1, given[-1] + 1)
        if stored is None:
            self._failed("not compared", TimeoutError(f"no export within {COMPARE_S} s"))
            return
        for _ in stored - set(given):
            self._failed("lost reading", LookupError("stored, and never given"))
        for _ in set(given) - stored:
            self._failed("unknown reading", LookupError("given, and not stored"))
        for _ in range(self.readings.doubled):
            self._failed("doubled reading", LookupError("given twice"))
        for _ in range(self.readings.named):
            self._measured("named gap", 0.0)
        for _ in range(self.readings.holes):
            self._measured("second without a reading", 0.0)
        self.readings.doubled = self.readings.named = self.readings.holes = 0

    def _stored(self, device: str, start_us: int, end_us: int) -> set[int] | None:
        """As `_export`, tried again where it is refused: all dashboards end at once, and few exports run at a time."""
        deadline = time.monotonic() + COMPARE_S
        while (stored := self._export(device, start_us, end_us, is_patient=True)) is None:
            if time.monotonic() > deadline:
                return None
            gevent.sleep(random.uniform(0.5, 3))
        return stored

    def _export(self, device: str, start_us: int, end_us: int, *, is_patient: bool = False) -> set[int] | None:
        """The stored times (µs) of [start, end); None where it failed. `is_patient`: 503 is no failure."""
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
        """The answer, None where it is a failure."""
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
    """The statistics of all workers."""
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
