"""One session's subscription to one device: buffers while it catches up, then sends each reading once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from django.conf import settings

from core.catalogue import CATALOGUE
from live_app.delivery import frames
from live_app.delivery.frames import Frame
from live_app.metrics import metrics
from telemetry.reading import Reading

NAMES = CATALOGUE.names
BACKLOG_ROWS_PER_FRAME = 500

Encode = Callable[[tuple[int, ...] | None], Frame]


class ReadingsOutlet(Protocol):
    """The outlet of a session (outlet.py), as far as its subscriptions use it."""

    def put_readings(self, frame: Frame, device_id: str, first: int, last: int) -> None: ...

    def flush(self) -> None: ...

    def discard(self, device_id: str) -> None: ...

    async def room(self) -> None: ...


class Subscription:
    """A subscription starts out buffering and becomes live with `release`. One per device and session: keep it small.

    `position`: time (µs) of the newest reading that the session was sent, or that it asked to start after; None until
    that is known. `held`: the buffer, at most LIVE_BACKLOG_MAX_READINGS readings; None while live. `losses`: how often
    the buffer became useless, because the stream broke or the buffer overflowed.
    """

    def __init__(
        self,
        device_id: str,
        outlet: ReadingsOutlet,
        *,
        on_joined: Callable[[int | None, bool], None],
        metrics: tuple[int, ...] | None = None,
        interval_ms: int = 0,
        floor: int | None = None,
    ) -> None:
        """`on_joined` is called with the cursor (µs) and whether all was recovered, just before the first reading.

        `floor`: only readings newer than this (µs) are visible.
        """
        self.device_id = device_id
        self.outlet = outlet
        self.on_joined = on_joined
        self.position: int | None = None
        self.held: list[Reading] | None = []
        self.losses = 0
        self.joining: asyncio.Task[None] | None = None
        self._floor = floor
        self._late: list[int] = []
        self._metrics = metrics
        self._interval_s = interval_ms / 1000
        self._pending: Reading | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_live(self) -> bool:
        return self.held is None

    @property
    def is_conflated(self) -> bool:
        """Whether the client asked for at most one reading per interval."""
        return bool(self._interval_s)

    # --- while it catches up ---

    def hold(self, reading: Reading, *, is_late: bool) -> None:
        """Buffer a reading of the stream."""
        assert self.held is not None, "only while it catches up"
        if len(self.held) >= settings.LIVE_BACKLOG_MAX_READINGS:
            self.lose()
        self.held.append(reading)
        if is_late:
            self._late.append(reading.us)

    def hold_again(self) -> None:
        """Go back from live to buffering."""
        self.held = []

    def lose(self) -> None:
        """Empty the buffer: readings between it and what follows may be missing."""
        if self.held is not None:
            self.held.clear()
            self.losses += 1

    def go_on_after(self, us: int | None, late: Iterable[int]) -> None:
        """Continue with readings newer than `us` (µs). Send a gap for what that skips, and for each `late` time."""
        if self._floor is not None:
            us = max(self._floor, -1 if us is None else us)
        if self.position is not None and us is not None and us > self.position:
            self.gap(self.position + 1, us)
        self.position = us
        for late_us in late:
            self.name_late(late_us)

    def send_backlog(self, readings: Sequence[Reading]) -> None:
        """Send at most BACKLOG_ROWS_PER_FRAME readings, oldest first, without those not newer than `position`."""
        rows = [reading for reading in readings if self.position is None or reading.us > self.position]
        if rows:
            self.position = rows[-1].us
            frame = frames.backlog(rows, NAMES, self._metrics)
            self.outlet.put_readings(frame, self.device_id, rows[0].us, rows[-1].us)
            self.outlet.flush()  # a large frame does not wait for others: the flush batch is not bounded

    def release(self, held: Sequence[Reading], replayed: Iterable[Reading]) -> None:
        """Send the buffered readings, oldest first and each time once, and go live.

        `replayed`: readings sent just before. A late reading among them was sent in order after all.
        """
        self.held = self.joining = None
        late, self._late = self._late, []
        if late:
            sent = {reading.us for reading in replayed}
            for us in late:
                if us not in sent:
                    self.name_late(us)
        for start in range(0, len(held), BACKLOG_ROWS_PER_FRAME):
            self.send_backlog(held[start : start + BACKLOG_ROWS_PER_FRAME])

    # --- live ---

    def offer(self, reading: Reading, encode: Encode, *, is_late: bool) -> None:
        """Send a reading that is newer than all before it; send a gap for one that comes late."""
        if self.held is not None:
            self.hold(reading, is_late=is_late)
        elif self.position is None or reading.us > self.position:
            self.position = reading.us
            if self._interval_s:
                self._conflate(reading)
            else:
                self.outlet.put_readings(encode(self._metrics), self.device_id, reading.us, reading.us)
        elif is_late and reading.us < self.position:
            self.gap(reading.us, reading.us)

    def name_late(self, us: int) -> None:
        """Send a gap for a reading (µs) that arrived after a newer one was sent."""
        if self.position is not None and us < self.position:
            self.gap(us, us)

    def skip_to(self, us: int) -> None:
        """Send a gap up to `us` (µs) where the session has not had those readings, and continue after it."""
        if self.held is None and self.position is not None and self.position < us:
            self.gap(self.position + 1, us)
            self.position = us

    def gap(self, first: int, last: int) -> None:
        """Name readings (µs, both included) that this socket is not sent."""
        metrics.gaps += 1
        self.outlet.put_readings(frames.gap(self.device_id, first, last), self.device_id, first, last)

    def close(self) -> None:
        if self.joining is not None:
            self.joining.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self.outlet.discard(self.device_id)

    def _conflate(self, reading: Reading) -> None:
        """Send the newest reading once per interval, the first one at once."""
        self._pending = reading
        if self._timer is None:
            self._send_pending()

    def _send_pending(self) -> None:
        self._timer = None
        if self._pending is not None:
            reading, self._pending = self._pending, None
            frame = frames.reading(reading, NAMES, self._metrics)
            self.outlet.put_readings(frame, self.device_id, reading.us, reading.us)
            self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._send_pending)
