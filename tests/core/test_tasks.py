from __future__ import annotations

import asyncio
import logging

import pytest

from core import tasks
from core.tasks import Service, Tasks

DEADLINE_S = 10.0


async def fail(error: Exception) -> None:
    raise error


async def test_a_failing_task_is_logged_with_its_owner(caplog: pytest.LogCaptureFixture) -> None:
    owned = Tasks("live hub")
    task = owned.spawn(fail(ValueError("broken")))
    await asyncio.wait([task], timeout=DEADLINE_S)
    assert len(owned) == 0
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "live hub" in record.getMessage()
    assert record.exc_info is not None


async def test_ignored_errors_and_cancellations_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    owned = Tasks("session", ignored=(OSError,))
    await asyncio.wait([owned.spawn(fail(ConnectionResetError()))], timeout=DEADLINE_S)
    owned.spawn(asyncio.Event().wait())
    await owned.close()
    assert caplog.records == []


async def test_close_waits_until_the_tasks_have_cleaned_up() -> None:
    owned, is_started, cleaned = Tasks("hub"), asyncio.Event(), []

    async def work() -> None:
        try:
            is_started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    owned.spawn(work())
    await asyncio.wait_for(is_started.wait(), DEADLINE_S)
    await owned.close()
    assert cleaned == [True]


@pytest.mark.parametrize("ending", [ValueError("broken"), None])
async def test_a_service_that_fails_or_returns_is_restarted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ending: Exception | None
) -> None:
    monkeypatch.setattr(tasks, "RESTART_PAUSE_S", 0.0)
    runs, is_second = 0, asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            if ending:
                raise ending
            return
        is_second.set()
        await asyncio.Event().wait()

    service = Service(work, name="guard")
    service.start()
    await asyncio.wait_for(is_second.wait(), DEADLINE_S)
    assert service.is_running
    assert "guard" in caplog.text
    await service.close()
    assert not service.is_running


async def test_starting_a_running_service_again_does_nothing() -> None:
    runs, is_running = 0, asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        is_running.set()
        await asyncio.Event().wait()

    service = Service(work, name="guard")
    service.start()
    service.start()
    await asyncio.wait_for(is_running.wait(), DEADLINE_S)
    await service.close()
    await service.close()
    assert runs == 1
