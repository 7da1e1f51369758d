"""Password hashing: bounded concurrency, and the same duration for unknown users."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from django.conf import settings

from auth_app import passwords
from auth_app.passwords import hasher_slot, password_matches
from core.errors import Unavailable
from testing.cast import Person


def test_concurrent_hashing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_S", 0.05)
    with ExitStack() as slots:
        for _ in range(settings.PASSWORD_HASHERS_AT_ONCE):
            slots.enter_context(hasher_slot())
        with pytest.raises(Unavailable), hasher_slot():
            pytest.fail("there was no slot left")
    with hasher_slot():
        pass


def test_a_slot_is_released_after_an_error() -> None:
    for _ in range(settings.PASSWORD_HASHERS_AT_ONCE + 1):
        with pytest.raises(KeyError), hasher_slot():
            raise KeyError


def test_unknown_users_take_as_long_as_known_ones(alice: Person) -> None:
    def fastest(user: object) -> float:
        times = []
        for _ in range(4):
            start = time.process_time()
            assert not password_matches(user, "wrong")  # type: ignore[arg-type]
            times.append(time.process_time() - start)
        return min(times)

    assert 0.5 < fastest(None) / fastest(alice.user) < 2
