"""Refusals for the audit log. Counted in memory, one entry per minute for equal refusals, written by a background job.

A refusal costs its request no write, and many of them do not fill the disk: at most ENTRIES_PER_USER entries per minute
and user, and ENTRIES in total, keep their details. The rest is counted without them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.utils import timezone

from auth_app.audit.entries import ADDRESS_MAX, DETAIL_MAX
from auth_app.identity import Identity
from auth_app.models import AuditEntry, User
from core.errors import Problem
from telemetry.names import is_device_id

ENTRIES_PER_USER = 20
ENTRIES = 100
ENTRIES_WAITING = 1_000  # while the accounts database is unavailable; the oldest are dropped
_REFUSED = (403, 429)
_AND_MORE = "and more"


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal without its time. `user_id`: who was refused, or whose account was attacked; None if unknown."""

    event: str
    user_id: int | None = None
    username: str = ""
    device_id: str = ""
    detail: str = ""
    address: str = ""

    def of_its_user(self) -> Denial:
        """The same without details, for a user with too many refusals."""
        return replace(self, device_id="", detail=_AND_MORE, address="")

    def of_all(self) -> Denial:
        return Denial(self.event, detail=_AND_MORE)


@dataclass(slots=True)
class PendingEntry:
    """An entry to be written: `waiting` refusals are not written yet; `entry_id`: its row, once it has one."""

    denial: Denial
    waiting: int = 0
    entry_id: int | None = None
    time: datetime = field(default_factory=timezone.now)


class Tally:
    """The entries of this minute, and earlier ones that were not written yet. Safe to use from any thread."""

    def __init__(self, *, per_user: int = ENTRIES_PER_USER, most: int = ENTRIES) -> None:
        self._per_user = per_user
        self._most = most
        self._lock = threading.Lock()
        self._minute = 0
        self._lines: dict[Denial, PendingEntry] = {}
        self._of_user: Counter[int | None] = Counter()
        self._earlier: deque[PendingEntry] = deque(maxlen=ENTRIES_WAITING)

    def count(self, denial: Denial) -> None:
        with self._lock:
            self._begin_minute()
            self._line(denial).waiting += 1

    def take(self) -> list[tuple[PendingEntry, int]]:
        """The entries to write, each with its number of new refusals. If writing fails, pass them to `give_back`."""
        with self._lock:
            lines = [line for line in (*self._earlier, *self._lines.values()) if line.waiting]
            taken = [(line, line.waiting) for line in lines]
            for line in lines:
                line.waiting = 0
            self._earlier.clear()
        return taken

    def give_back(self, taken: Iterable[tuple[PendingEntry, int]]) -> None:
        with self._lock:
            for line, count in taken:
                line.waiting += count
                if self._lines.get(line.denial) is not line:
                    self._earlier.append(line)

    def _begin_minute(self) -> None:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._earlier.extend(line for line in self._lines.values() if line.waiting)
            self._minute, self._lines, self._of_user = minute, {}, Counter()

    def _line(self, denial: Denial) -> PendingEntry:
        if denial in self._lines:
            return self._lines[denial]
        if len(self._lines) >= self._most:
            denial = denial.of_all()
        elif self._of_user[denial.user_id] >= self._per_user:
            denial = denial.of_its_user()
        if denial not in self._lines:
            self._lines[denial] = PendingEntry(denial)
            self._of_user[denial.user_id] += 1
        return self._lines[denial]


tally = Tally()


def problem_denied(problem: Problem, *, identity: Identity | None, what: str, address: str) -> None:
    """Count `problem` if it refuses a known user, or anybody after too many attempts. `what`: the name of the route."""
    if problem.status in _REFUSED and (identity is not None or problem.status == 429):
        denied(identity, problem.devices, f"{what}: {problem.code}", address)


def denied(identity: Identity | None, device_ids: Iterable[str], detail: str, address: str) -> None:
    """Count a refusal for each of `device_ids`, or one without a device."""
    user_id, username = (identity.user_id, identity.username) if identity else (None, "")
    for device_id in list(device_ids)[:ENTRIES_PER_USER] or [""]:
        named = device_id if is_device_id(device_id) else ""
        tally.count(
            Denial(AuditEntry.Event.DENIED, user_id, username, named, detail[:DETAIL_MAX], address[:ADDRESS_MAX])
        )


def login_failed(user: User | None, address: str) -> None:
    """Count a wrong password. An unknown name is not stored: people mistype passwords into that field."""
    user_id, username = (user.pk, user.username) if user else (None, "")
    tally.count(Denial(AuditEntry.Event.LOGIN_FAILED, user_id, username, address=address[:ADDRESS_MAX]))
