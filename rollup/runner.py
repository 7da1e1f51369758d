"""Runs the engine until it is cancelled: connects, repeats rounds, waits, and connects again after a failure."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import psycopg

from rollup.engine import Engine
from rollup.progress import Progress
from telemetry.backoff import Backoff
from telemetry.catalogue import Catalogue
from telemetry.env import read_database, read_int

log = logging.getLogger("rollup")

PROGRESS_PERIOD_S = 5.0
RESTART_PAUSE_S = 1.0
# Days of devices: with more due work than this, progress is logged.
MANY_DAYS = 50


@dataclass(frozen=True, slots=True)
class RollupSettings:
    """The owner's address and the limits; a limit's variable is ROLLUP_ and its name in capitals."""

    telemetry_admin_url: str = field(repr=False)
    poll_ms: int
    settle_ms: int
    statement_timeout_ms: int


# Name: default and minimum.
LIMITS = {"poll_ms": (2_000, 10), "settle_ms": (3_000, 0), "statement_timeout_ms": (120_000, 1_000)}


def settings_from(environment: Mapping[str, str]) -> RollupSettings:
    """Read the settings from the environment, e.g. `os.environ`. Raises `VariableError`."""
    return RollupSettings(
        read_database(environment, "TELEMETRY_ADMIN_URL"),
        **{name: read_int(environment, f"ROLLUP_{name.upper()}", *limit) for name, limit in LIMITS.items()},
    )


async def rollup_supervised(rollup: Rollup) -> NoReturn:
    """Run it until cancelled. An unexpected error is logged and counted, and the work begins again after a second."""
    while True:
        task = asyncio.create_task(rollup.run())
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            rollup.progress.errors += 1
            log.error("the rollup failed and starts again", exc_info=error)
        await asyncio.sleep(RESTART_PAUSE_S)


class Rollup:
    """`run` works until it is cancelled; `progress` may be read at any time."""

    def __init__(self, settings: RollupSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._engine = Engine(
            catalogue,
            settle_s=settings.settle_ms / 1000,
            statement_timeout_s=settings.statement_timeout_ms / 1000,
            on_slice=self._report,
        )
        self._reported_at = time.monotonic()
        self._reported = Progress()

    @property
    def progress(self) -> Progress:
        return self._engine.progress

    async def run(self, *, once: bool = False) -> None:
        """Rebuild what is due, again and again; with `once` until nothing is due. A failure is logged and repeated."""
        backoff = Backoff()
        while True:
            try:
                await self._rounds(backoff, once=once)
                return
            except (psycopg.Error, OSError, TimeoutError) as error:
                self.progress.errors += 1
                if not backoff.failures:
                    log.warning("not rolling up, will go on trying: %s", " ".join(str(error).split()))
                await backoff.wait()

    async def _rounds(self, backoff: Backoff, *, once: bool) -> None:
        connection = await self._engine.connect(self._settings.telemetry_admin_url)
        try:
            while True:
                has_more = await self._engine.round(connection)
                if backoff.failures:
                    log.warning("rolling up again after %d failed attempts", backoff.failures)
                backoff.reset()
                if not has_more:
                    if once:
                        return
                    await asyncio.sleep(self._settings.poll_ms / 1000)
        finally:
            await connection.close()

    def _report(self) -> None:
        """Log progress and rate while there is much to do."""
        now, progress = time.monotonic(), self.progress
        seconds = now - self._reported_at
        if seconds < PROGRESS_PERIOD_S:
            return
        days, readings = progress.days - self._reported.days, progress.readings - self._reported.readings
        if progress.total > MANY_DAYS:
            log.info(
                "%d days of devices to go; %.0f days and %.0f readings per second",
                progress.total, days / seconds, readings / seconds,
            )  # fmt: skip
        self._reported_at = now
        self._reported = Progress(days=progress.days, readings=progress.readings)
