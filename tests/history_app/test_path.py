"""A warm history request crosses few files, and enters each of them once."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from asgi_project.asgi import application
from history_app.store.pool import pool_close
from testing.cast import Person
from testing.stack import Stack
from testing.telemetry import now_us, readings_each_second, store

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "devices_app", "history_app", "telemetry")
# psycopg calls the loaders, the event loop calls what was handed to it.
FROM_OUTSIDE = {"history_app/store/arrays.py", "history_app/store/pool.py", "history_app/conditional.py"}
# Functions of one line that several steps use.
SHARED = {"core/decision_cache.py", "core/hot.py", "telemetry/times.py", "telemetry/logs.py", "telemetry/tracing.py"}
# The steps that decide and compute; a request passes from one to the next and does not return to it.
STEPS = {
    "history_app/views.py",
    "history_app/question.py",
    "history_app/planning/plan.py",
    "history_app/store/sources.py",
    "history_app/sql/buckets.py",
    "history_app/sql/devices.py",
    "history_app/document.py",
}


class Trace:
    """Counts how often each file of the project is entered from another one. A resumed coroutine is no new entry."""

    def __init__(self) -> None:
        self.entries: Counter[str] = Counter()
        self._frames: dict[int, FrameType] = {}  # kept, so that no two have the same id

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        place = _file(frame)
        if event != "call" or place is None or id(frame) in self._frames:
            return
        self._frames[id(frame)] = frame
        caller = frame.f_back
        while caller is not None and _file(caller) is None:
            caller = caller.f_back
        if caller is None or _file(caller) != place:
            self.entries[place] += 1


def _file(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    if ROOT not in path.parents or ".venv" in path.parts or "tests" in path.parts:
        return None
    return path.relative_to(ROOT).as_posix()


async def ask(path: str, query: str, token: str) -> int:
    """Send one request to the application in this process. The status."""
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())]
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await application(scope, receive, send)
    status: int = sent[0]["status"]
    return status


async def test_a_warm_request_passes_from_step_to_step(stack: Stack, alice: Person, device: str) -> None:
    store(stack, readings_each_second(device, now_us() - 600_000_000, 600))
    try:
        for _ in range(3):
            assert await ask(f"/api/history/{device}", "range=24h", alice.token) == 200
        trace = Trace()
        sys.setprofile(trace)
        try:
            assert await ask(f"/api/history/{device}", "range=24h", alice.token) == 200
        finally:
            sys.setprofile(None)
    finally:
        await pool_close()
    history = {name: count for name, count in trace.entries.items() if name.startswith("history_app/")}
    assert set(history) >= STEPS
    assert {name: history[name] for name in STEPS} == dict.fromkeys(STEPS, 1)
    assert len(history) <= 13, history
    assert len(trace.entries) <= 34, trace.entries
