"""The parts of a running writer, opened and closed together."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rollup.runner import Rollup, rollup_supervised
from rollup.runner import settings_from as rollup_settings_from
from telemetry.catalogue import catalogue_load
from telemetry.reading import Reading, reading_merge
from telemetry.redis import AsyncRedis, redis_close, redis_connect
from writer.metrics import Metrics
from writer.publishing.heartbeat import heartbeat
from writer.publishing.lanes import Lanes
from writer.report import Report
from writer.settings import WriterSettings, settings_from
from writer.storage.store import Store
from writer.validate import RefusedError, Validator

log = logging.getLogger("writer.service")


@dataclass(frozen=True, slots=True)
class RunningWriter:
    """The parts that the routes use."""

    settings: WriterSettings
    metrics: Metrics
    validator: Validator
    store: Store
    publisher: Lanes
    redis: AsyncRedis
    rollup: Rollup | None

    def validated(self, item: object, index: int, device_id: str, report: Report, clock_us: int) -> Reading | None:
        """Return a valid reading of the device that the key belongs to; None if it is refused."""
        try:
            return self.validator.reading(item, report, index, device_id=device_id, now_us=clock_us)
        except RefusedError as refusal:
            self.metrics.refused[refusal.kind] += 1
            report.refuse(index, str(refusal))
            return None

    def count(self, received: int, report: Report) -> None:
        """Count what was received, adjusted and ignored."""
        self.metrics.received += received
        self.metrics.adjusted += len(report.adjusted)
        self.metrics.ignored += len(report.ignored)

    def take(self, readings: list[Reading]) -> bool:
        """Queue the readings of one device for both, oldest first; readings of the same time are merged.

        Queues none of them and returns False if a queue has no room.
        """
        count = len(readings)
        if count > 1:
            readings = merged(sorted(readings, key=lambda reading: reading.us))
        if not self.publisher.has_room(readings) or not self.store.offer(readings):
            self.metrics.refused["queue_full"] += count
            return False
        self.publisher.offer(readings)
        self.metrics.accepted += count
        return True


def merged(readings: Iterable[Reading]) -> list[Reading]:
    """Merge neighbours of the same device and time, in order of arrival."""
    result: list[Reading] = []
    for reading in readings:
        if result and result[-1].us == reading.us and result[-1].device_id == reading.device_id:
            result[-1] = reading_merge(result[-1], reading)
        else:
            result.append(reading)
    return result


@asynccontextmanager
async def service_running(environment: Mapping[str, str]) -> AsyncIterator[RunningWriter]:
    """A service with the settings of the environment. The databases need not be reachable yet.

    On exit it stores and publishes what is queued, for at most the grace period. Raises `VariableError` and
    `CatalogueError`.
    """
    settings, catalogue, metrics = settings_from(environment), catalogue_load(), Metrics()
    store = Store(settings, catalogue, metrics, lambda readings: publisher.offer(readings))
    publisher = Lanes(settings, catalogue, metrics, lambda: store.unstored)
    redis = redis_connect(settings.redis_url)
    validator = Validator(catalogue, max_future_s=settings.max_future_s, max_past_s=settings.max_past_s)
    rollup = Rollup(rollup_settings_from(environment), catalogue) if settings.rollup else None
    service = RunningWriter(settings, metrics, validator, store, publisher, redis, rollup)
    beating = asyncio.create_task(
        heartbeat(redis, store, metrics, rollup.progress if rollup else None), name="heartbeat"
    )
    rolling = [asyncio.create_task(rollup_supervised(rollup), name="rollup")] if rollup else []
    for task in (store.open(), *publisher.open(), beating):
        task.add_done_callback(_end_process_if_failed)
    try:
        yield service
    finally:
        await asyncio.gather(publisher.close(), store.close())
        for task in (beating, *rolling):
            task.cancel()
        await asyncio.wait([beating, *rolling])
        await redis_close(redis)


def _end_process_if_failed(task: asyncio.Task[Any]) -> None:
    """End the process for a restart: a writer that accepts readings without storing them is worse."""
    if not task.cancelled() and (error := task.exception()):
        log.critical("the %s failed, ending", task.get_name(), exc_info=error)
        signal.raise_signal(signal.SIGTERM)
