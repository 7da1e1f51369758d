"""The writer's metrics, for Prometheus."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rollup.progress import Progress

__all__ = ["CONTENT_TYPE", "Metrics", "exposition"]

PREFIX = "wattstream_writer_"


def _counter(help_text: str) -> int:
    value: int = field(default=0, metadata={"help": help_text})
    return value


@dataclass(slots=True)
class Metrics:
    """Counters since the process started. They are plain numbers, because counting is part of the hot path."""

    received: int = _counter("Readings received, over HTTP and websockets.")
    adjusted: int = _counter("Values stored as null or clamped.")
    ignored: int = _counter("Names in readings that are not in the catalogue, once per request.")
    accepted: int = _counter("Readings accepted into the queue.")
    stored: int = _counter("Readings that are new rows in TimescaleDB.")
    corrected: int = _counter("Rows of TimescaleDB that a later reading changed.")
    duplicates: int = _counter("Readings that changed nothing, or were merged into another one of their batch.")
    store_refused: int = _counter("Readings that the database refused.")
    not_stored: int = _counter("Readings still queued when the writer had to stop.")
    batches: int = _counter("Batches stored.")
    store_errors: int = _counter("Failed attempts to store, which are retried.")
    published: int = _counter("Readings published.")
    publish_errors: int = _counter("Failed attempts to publish, which are retried.")
    not_published: int = _counter("Readings dropped from the queue to publish because it was full.")
    ring_errors: int = _counter("Readings that Redis did not add to the ring of their device.")
    ring_resets: int = _counter("Rings emptied because a reading may be missing in them.")
    slow_sockets: int = _counter("Websockets closed because the device did not read the responses.")
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, eq=False)
class _Collector(Collector):
    metrics: Metrics
    waiting: Callable[[], tuple[int, int]]
    rollup: Progress | None

    def collect(self) -> Iterator[Metric]:
        to_store, to_publish = self.waiting()
        yield GaugeMetricFamily(f"{PREFIX}queued_readings", "Readings that wait to be stored.", to_store)
        yield GaugeMetricFamily(f"{PREFIX}to_publish_readings", "Readings that wait to be published.", to_publish)
        for entry in fields(self.metrics):
            if help_text := entry.metadata.get("help"):
                yield CounterMetricFamily(f"{PREFIX}{entry.name}", help_text, getattr(self.metrics, entry.name))
        refused = CounterMetricFamily(f"{PREFIX}refused", "Readings refused, by reason.", labels=["reason"])
        for reason, count in sorted(self.metrics.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        if self.rollup is not None:
            yield from _rollup_metrics(self.rollup)


def _rollup_metrics(progress: Progress) -> Iterator[Metric]:
    """The lag is infinite before any rollup has caught up."""
    lag_s = math.inf if progress.lag_s is None else progress.lag_s
    gauges = (("lag_seconds", "Since the tiers last held all that was due.", lag_s),
              ("due_days", "Days of devices that were due last.", progress.total))  # fmt: skip
    for name, help_text, value in gauges:
        yield GaugeMetricFamily(f"{PREFIX}rollup_{name}", help_text, value)
    counters = (("readings", "Readings that were rolled up.", progress.readings),
                ("below_floor", "Late changes of a time whose readings were dropped.", progress.below_floor),
                ("errors", "Failed attempts to roll up, which are retried.", progress.errors))  # fmt: skip
    for name, help_text, value in counters:
        yield CounterMetricFamily(f"{PREFIX}rollup_{name}", help_text, value)


def exposition(metrics: Metrics, waiting: Callable[[], tuple[int, int]], rollup: Progress | None) -> bytes:
    """The text for a scrape. `waiting` returns the readings that wait to be stored and to be published; `rollup`: of
    this process, if it rolls up."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics, waiting, rollup))
    return generate_latest(registry)
