"""Refusals are counted in a bounded number of lines, and none is lost while the accounts database is away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth_app.audit.denials import Denial, Tally


def denial(user_id: int | None = 1, device_id: str = "ems_001") -> Denial:
    return Denial("denied", user_id, f"user_{user_id}", device_id, "history: forbidden", "192.0.2.1")


def counts(tally: Tally) -> dict[Denial, int]:
    return {line.denial: count for line, count in tally.take()}


def test_the_same_refusal_is_one_line() -> None:
    tally = Tally()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tally.count(denial()), range(400)))
    assert counts(tally) == {denial(): 400}
    assert counts(tally) == {}


def test_what_comes_later_in_the_minute_goes_to_the_same_line() -> None:
    tally = Tally()
    tally.count(denial())
    ((first, _),) = tally.take()
    tally.count(denial())
    ((again, count),) = tally.take()
    assert again is first
    assert count == 1


def test_who_tries_many_devices_fills_few_lines_and_hides_nobody_else() -> None:
    tally = Tally(per_user=3, most=10)
    for number in range(1000):
        tally.count(denial(1, f"ems_{number}"))
    tally.count(denial(2, "ems_x"))
    found = counts(tally)
    assert len(found) == 5
    assert found[denial(1, "").of_its_user()] == 997
    assert found[denial(2, "ems_x")] == 1


def test_many_users_together_fill_few_lines() -> None:
    tally = Tally(per_user=3, most=10)
    for user_id in range(1000):
        tally.count(denial(user_id))
    found = counts(tally)
    assert len(found) == 11
    assert sum(found.values()) == 1000
    assert found[denial().of_all()] == 990


def test_the_next_minute_has_lines_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tally.count(denial())
    now = 61.0
    tally.count(denial())
    assert [count for _, count in tally.take()] == [1, 1]


def test_what_could_not_be_written_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
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
