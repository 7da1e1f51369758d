"""Sessions are checked a few at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from live_app.access.checks import PORTION_DEVICES, portions


@dataclass(eq=False)
class Session:
    """The part of a session that the split into portions uses."""

    devices: list[str] = field(default_factory=list)


@pytest.mark.parametrize("devices_each", [0, 1, 20, 1_000])
def test_each_session_is_in_one_portion_and_portions_are_small(devices_each: int) -> None:
    sessions = [Session([f"ems_{number}" for number in range(devices_each)]) for _ in range(1_000)]
    split = list(portions(sessions))  # type: ignore[arg-type]
    assert sorted(id(session) for portion in split for session in portion) == sorted(map(id, sessions))
    for portion in split:
        devices = sum(1 + len(session.devices) for session in portion[:-1])
        assert devices < PORTION_DEVICES


def test_without_sessions_there_are_no_portions() -> None:
    assert list(portions([])) == []
