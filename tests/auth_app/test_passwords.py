"""Password hashing: bounded, and as slow for nobody as for somebody."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from django.conf import settings

from auth_app import passwords
from auth_app.passwords import hasher_slot, password_matches
from core.errors import Unavailable
from testing.cast import Person


def test_no_more_than_the_setting_hash_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_S", 0.05)
    with ExitStack() as slots:
        for _ in range(settings.PASSWORD_HASHERS_AT_ONCE):
            slots.enter_context(hasher_slot())
        with pytest.raises(Unavailable), hasher_slot():
            pytest.fail("there was no slot left")
    with hasher_slot():
        pass


def test_a_slot_is_given_back_after_an_error() -> None:
    for _ in range(settings.PASSWORD_HASHERS_AT_ONCE + 1):
        with pytest.raises(KeyError), hasher_slot():
            raise KeyError


def test_nobody_takes_as_long_as_somebody(alice: Person) -> None:
    def fastest(user: object) -> float:
        times = []
        for _ in range(4):
            start = time.process_time()
            assert not password_matches(user, "wrong")  # type: ignore[arg-type]
            times.append(time.process_time() - start)
        return min(times)

    assert 0.5 < fastest(None) / fastest(alice.user) < 2
