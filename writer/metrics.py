"""What the writer counts, as Prometheus text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "wattstream_writer_"


def _counter(help_text: str) -> int:
    value: int = field(default=0, metadata={"help": help_text})
    return value


@dataclass(slots=True)
class Metrics:
    """Counters since the process started; none ever goes down."""

    received: int = _counter("Readings received, over HTTP and websockets.")
    adjusted: int = _counter("Values stored as null or clamped.")
    ignored: int = _counter("Names in readings that are not in the catalogue, once per request.")
    accepted: int = _counter("Readings taken into the queue.")
    stored: int = _counter("Readings that are new rows in TimescaleDB.")
    corrected: int = _counter("Rows of TimescaleDB that a later reading changed.")
    duplicates: int = _counter("Readings that changed nothing, or were merged into another one of their batch.")
    store_refused: int = _counter("Readings that the database refused.")
    not_stored: int = _counter("Readings still queued when the writer had to stop.")
    batches: int = _counter("Batches stored.")
    store_errors: int = _counter("Attempts to store that failed and were repeated.")
    published: int = _counter("Readings published.")
    publish_errors: int = _counter("Attempts to publish that failed and were repeated.")
    not_published: int = _counter("Readings dropped from the queue to publish because it was full.")
    ring_errors: int = _counter("Readings that Redis did not take into their device's ring.")
    ring_resets: int = _counter("Rings emptied because a reading may be missing in them.")
    slow_sockets: int = _counter("Websockets closed because the device did not read its answers.")
    refused: Counter[str] = field(default_factory=Counter)

    def lines(self, *, queued: int, to_publish: int) -> Iterator[str]:
        """The exposition text, line by line. `queued` and `to_publish` are readings waiting now."""
        yield from _family("queued_readings", "gauge", "Readings that wait to be stored.", [("", queued)])
        yield from _family("to_publish_readings", "gauge", "Readings that wait to be published.", [("", to_publish)])
        for entry in fields(self):
            if help_text := entry.metadata.get("help"):
                yield from _family(f"{entry.name}_total", "counter", help_text, [("", getattr(self, entry.name))])
        samples = [(f'{{reason="{kind}"}}', count) for kind, count in sorted(self.refused.items())]
        yield from _family("refused_total", "counter", "Readings refused, by reason.", samples)


def _family(name: str, kind: str, help_text: str, samples: list[tuple[str, int]]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {help_text}\n"
    yield f"# TYPE {PREFIX}{name} {kind}\n"
    for labels, value in samples:
        yield f"{PREFIX}{name}{labels} {value}\n"
