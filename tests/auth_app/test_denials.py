"""Refusals are counted in a bounded number of rows; none is lost while the accounts database is unavailable."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_app.audit.denials import Denial, Tally


def denial(user_id: int | None = 1, device_id: str = "ems_001") -> Denial:
    return Denial("denied", user_id, f"user_{user_id}", device_id, "history: forbidden", "192.0.2.1")


def counts(tally: Tally) -> dict[Denial, int]:
    return {line.denial: count for line, count in tally.take()}


def test_identical_refusals_share_one_row() -> None:
    tally = Tally()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tally.count(denial()), range(400)))
    assert counts(tally) == {denial(): 400}
    assert counts(tally) == {}


def test_later_refusals_of_a_minute_use_the_same_row() -> None:
    tally = Tally()
    tally.count(denial())
    ((first, _),) = tally.take()
    tally.count(denial())
    ((again, count),) = tally.take()
    assert again is first
    assert count == 1


def test_many_devices_of_one_user_fill_few_rows_and_hide_no_other_user() -> None:
    tally = Tally(per_user=3, most=10)
    for number in range(1000):
        tally.count(denial(1, f"ems_{number}"))
    tally.count(denial(2, "ems_x"))
    found = counts(tally)
    assert len(found) == 5
    assert found[denial(1, "").of_its_user()] == 997
    assert found[denial(2, "ems_x")] == 1


def test_many_users_together_fill_few_rows() -> None:
    tally = Tally(per_user=3, most=10)
    for user_id in range(1000):
        tally.count(denial(user_id))
    found = counts(tally)
    assert len(found) == 11
    assert sum(found.values()) == 1000
    assert found[denial().of_all()] == 990


def test_the_next_minute_has_new_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tally.count(denial())
    now = 61.0
    tally.count(denial())
    assert [count for _, count in tally.take()] == [1, 1]


def test_counts_are_kept_until_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tally.count(denial())
    taken = tally.take()
    now = 61.0
    tally.count(denial())
    tally.give_back(taken)
    assert [count for _, count in tally.take()] == [1, 1]
    assert tally.take() == []
