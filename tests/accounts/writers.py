"""Users who write to the accounts concurrently, each over a separate connection."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from tests.accounts.site import Site

Write = Callable[[httpx.Client], list[httpx.Response]]
ROUNDS = 4


def makes_keys(http: httpx.Client) -> list[httpx.Response]:
    made = http.post("/api/auth/tokens", json={"name": "k"})
    return [made, http.delete(f"/api/auth/tokens/{made.json().get('id', 0)}")]


def shares(device_id: str, guest: str) -> Write:
    def write(http: httpx.Client) -> list[httpx.Response]:
        url = f"/api/devices/{device_id}"
        return [
            http.patch(url, json={"name": guest}),
            http.post(f"{url}/shares", json={"username": guest}),
            http.delete(f"{url}/shares/{guest}"),
        ]

    return write


def signs_in(username: str, password: str) -> Write:
    def write(http: httpx.Client) -> list[httpx.Response]:
        return [http.post("/api/auth/login", json={"username": username, "password": password})]

    return write


class Writers:
    """All start together and run for ROUNDS rounds; with `endless`, until `finish`."""

    def __init__(self, site: Site, token: str, writes: list[Write], *, endless: bool = False) -> None:
        self._site = site
        self._token = token
        self._endless = endless
        self._enough = threading.Event()
        self.underway = threading.Barrier(len(writes) + 1)
        self._pool = ThreadPoolExecutor(len(writes))
        self._futures: list[Future[list[httpx.Response]]] = [self._pool.submit(self._write, write) for write in writes]
        self.underway.wait(30)

    def _write(self, write: Write) -> list[httpx.Response]:
        answers: list[httpx.Response] = []
        with self._site.client(self._token) as http:
            self.underway.wait(30)
            rounds = itertools.count() if self._endless else range(ROUNDS)
            for _ in rounds:
                answers += write(http)
                if self._enough.is_set():
                    break
        return answers

    def finish(self) -> list[httpx.Response]:
        """Wait for the writers and return all responses."""
        if self._endless:
            self._enough.set()
        try:
            return [answer for future in self._futures for answer in future.result(300)]
        finally:
            self._pool.shutdown()
