"""Which readings of each device were given already: so that what history fills in is given once. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from wattstream_client.events import Gap, Reading, Unrecovered
from wattstream_client.times import us_from_iso

REMEMBERED = 10_000  # readings a device; a gap older than that may be filled with readings that were given
MS_US = 1000  # history tells whole milliseconds
Span = tuple[int, int]


class Series:
    """`cursors`: what was given before."""

    def __init__(self, cursors: Mapping[str, str | None]) -> None:
        self._given: dict[str, set[int]] = defaultdict(set)
        self._order: dict[str, deque[int]] = defaultdict(deque)
        for device_id, cursor in cursors.items():
            if cursor is not None:
                self._remember(device_id, us_from_iso(cursor) // MS_US)

    def span(self, event: Gap | Unrecovered) -> Span | None:
        """The span (µs, both included) to load from history; None where the event names none."""
        if isinstance(event, Gap):
            return us_from_iso(event.start), us_from_iso(event.end)
        if event.since is None or event.cursor is None:
            return None
        start, end = us_from_iso(event.since) + 1, us_from_iso(event.cursor)
        return (start, end) if start <= end else None

    def new(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """Those that were not given yet, and remember them."""
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
