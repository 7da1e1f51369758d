"""The readings that were yielded before, so that filling a gap from history repeats none. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from wattstream_client.events import Gap, Reading, Unrecovered
from wattstream_client.times import us_from_iso

REMEMBERED = 10_000  # readings per device; filling an older gap may repeat readings
MS_US = 1000  # history has whole milliseconds
Span = tuple[int, int]


class Series:
    """`cursors`: the newest reading of each device that the caller already has."""

    def __init__(self, cursors: Mapping[str, str | None]) -> None:
        self._given: dict[str, set[int]] = defaultdict(set)
        self._order: dict[str, deque[int]] = defaultdict(deque)
        for device_id, cursor in cursors.items():
            if cursor is not None:
                self._remember(device_id, us_from_iso(cursor) // MS_US)

    def span(self, event: Gap | Unrecovered) -> Span | None:
        """Return the span (µs, both included) to load from history, None if the event names none."""
        if isinstance(event, Gap):
            return us_from_iso(event.start), us_from_iso(event.end)
        if event.since is None or event.cursor is None:
            return None
        start, end = us_from_iso(event.since) + 1, us_from_iso(event.cursor)
        return (start, end) if start <= end else None

    def new(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """Yield the readings that were not yielded before."""
        for reading in readings:
            device_id, ms = reading.device_id, reading.us // MS_US
            if ms not in self._given[device_id]:
                self._remember(device_id, ms)
                yield reading

    def _remember(self, device_id: str, ms: int) -> None:
        self._given[device_id].add(ms)
        self._order[device_id].append(ms)
        if len(self._order[device_id]) > REMEMBERED:
            self._given[device_id].discard(self._order[device_id].popleft())
