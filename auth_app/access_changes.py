"""The log of access changes in the accounts database, for events that Redis lost.

Each change is recorded in the transaction that makes it. A server process reads the log every few seconds, one query
however many sessions it serves, and applies the changes whose events it did not receive.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.utils import timezone

KEPT_S = 3600
# A transaction that has not committed this long after a later one is taken for rolled back.
OPEN_TRANSACTION_S = 60.0
OVERLAP = 100  # ids before the newest one that may still be uncommitted when a process starts to read
READ_AT_ONCE = 1_000


class RecordedChange(models.Model):
    """One access change. `change` is the JSON of an `auth_app.events.AccessChange`."""

    change = models.TextField()
    time = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["time"], name="recorded_change_by_time")]

    def __str__(self) -> str:
        return f"{self.pk}: {self.change}"


def change_record(change: str) -> int:
    """Add a change to the log, in the caller's transaction. Returns its id."""
    return RecordedChange.objects.create(change=change).pk


def changes_purge() -> int:
    """Delete the changes older than `KEPT_S`. Returns how many."""
    return RecordedChange.objects.filter(time__lt=timezone.now() - timedelta(seconds=KEPT_S)).delete()[0]


class ChangeReader:
    """Reads each recorded change once.

    The database assigns ids before it commits, so a smaller id may appear after a larger one. The reader therefore
    keeps asking from the first id that it has not seen, for as long as the transaction behind that id may be open.
    Not safe for concurrent reads.
    """

    def __init__(self) -> None:
        self._after = 0  # nothing up to this id will appear any more
        self._seen: set[int] = set()
        self._missing_since: dict[int, float] = {}
        self._read_at: float | None = None

    def read(self) -> Mapping[int, str] | None:
        """The new changes by id, oldest first.

        Returns None if any access may have changed: on the first read, after a pause longer than the log reaches
        back, or if more than `READ_AT_ONCE` changes are new.
        """
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > KEPT_S / 2:
            self._begin()
            self._read_at = now
            return None
        rows = RecordedChange.objects.filter(pk__gt=self._after).order_by("pk").values_list("pk", "change")
        found = dict(rows[: READ_AT_ONCE + 1])
        if len(found) > READ_AT_ONCE:
            self._read_at = None
            return self.read()
        new = {pk: change for pk, change in found.items() if pk not in self._seen}
        self._note(found.keys(), now)
        self._read_at = now
        return new

    def _begin(self) -> None:
        newest = RecordedChange.objects.aggregate(newest=models.Max("pk"))["newest"] or 0
        self._after = max(0, newest - OVERLAP)
        known = RecordedChange.objects.filter(pk__gt=self._after, pk__lte=newest)
        self._seen = set(known.values_list("pk", flat=True))
        self._missing_since = {}

    def _note(self, found: Iterable[int], now: float) -> None:
        """Remember what was read. Move past the ids that were read, or that have been missing for too long."""
        self._seen.update(found)
        is_settled = True
        for pk in range(self._after + 1, max(self._seen, default=self._after) + 1):
            if pk not in self._seen:
                missing_since = self._missing_since.setdefault(pk, now)
                is_settled = is_settled and now - missing_since > OPEN_TRANSACTION_S
            if is_settled:
                self._after = pk
                self._seen.discard(pk)
                self._missing_since.pop(pk, None)
