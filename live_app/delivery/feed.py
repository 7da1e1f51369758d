"""A watched device and its subscriptions: each reading once, in time order, to each socket that asked for it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from django.conf import settings

from core.catalogue import CATALOGUE
from live_app.delivery import protocol
from live_app.delivery.outlet import Outlet
from live_app.delivery.protocol import Frame
from live_app.metrics import metrics
from telemetry.names import RING_LENGTH
from telemetry.reading import Reading

NAMES = CATALOGUE.names
BACKLOG_ROWS_PER_FRAME = 500

Encode = Callable[[tuple[int, ...] | None], Frame]
Behind = tuple["Subscription", Sequence[Reading]]


class Subscription:
    """One session's interest in one device. Holds what arrives until it has caught up, then passes it on.

    `position`: µs of the newest reading this session was given (or asked to start after); None until that is known.
    `held`: what arrived while it catches up, at most LIVE_BACKLOG_MAX_READINGS; None once it is live. `losses` counts
    how often what it held became worth nothing, because the stream broke off or was too much to hold.
    """

    def __init__(
        self,
        device_id: str,
        outlet: Outlet,
        *,
        on_joined: Callable[[int | None, bool], None],
        metrics: tuple[int, ...] | None = None,
        interval_ms: int = 0,
    ) -> None:
        """`on_joined` is called with the cursor (µs) and whether all was recovered, just before the first reading."""
        self.device_id = device_id
        self.outlet = outlet
        self.on_joined = on_joined
        self.position: int | None = None
        self.held: list[Reading] | None = []
        self.losses = 0
        self.joining: asyncio.Task[None] | None = None
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
        return bool(self._interval_s)

    def hold(self, reading: Reading, *, is_late: bool) -> None:
        assert self.held is not None, "only while it catches up"
        if len(self.held) >= settings.LIVE_BACKLOG_MAX_READINGS:
            self.lose()
        self.held.append(reading)
        if is_late:
            self._late.append(reading.us)

    def lose(self) -> None:
        """What is held has a hole, so it is worth nothing."""
        if self.held is not None:
            self.held.clear()
            self.losses += 1

    def go_on_after(self, us: int | None, late: Iterable[int]) -> None:
        """What comes next is newer than `us` (µs). Name what is skipped by that, and what came late."""
        if self.position is not None and us is not None and us > self.position:
            self.gap(self.position + 1, us)
        self.position = us
        for late_us in late:
            self.name_late(late_us)

    def send_backlog(self, readings: Sequence[Reading]) -> None:
        """At most BACKLOG_ROWS_PER_FRAME readings, oldest first; what is not newer than `position` is skipped."""
        rows = [reading for reading in readings if self.position is None or reading.us > self.position]
        if rows:
            self.position = rows[-1].us
            frame = protocol.backlog(rows, NAMES, self._metrics)
            self.outlet.put_readings(frame, self.device_id, rows[0].us, rows[-1].us)

    def release(self, held: Sequence[Reading], replayed: Iterable[Reading]) -> None:
        """Send what was held, oldest first and each time once, and pass on what comes from now on.

        `replayed`: what was sent just before; a reading among them came late, but not too late.
        """
        self.held = self.joining = None
        late, self._late = self._late, []
        if late:
            given = {reading.us for reading in replayed}
            for us in late:
                if us not in given:
                    self.name_late(us)
        for start in range(0, len(held), BACKLOG_ROWS_PER_FRAME):
            self.send_backlog(held[start : start + BACKLOG_ROWS_PER_FRAME])

    def name_late(self, us: int) -> None:
        """Name a reading (µs) that came later than a newer one was given."""
        if self.position is not None and us < self.position:
            self.gap(us, us)

    def offer(self, reading: Reading, encode: Encode, *, is_late: bool) -> None:
        """Pass a reading on if it is newer than all before it. One that is not is named where it comes late."""
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

    def gap(self, first: int, last: int) -> None:
        """Name readings (µs, both included) that this socket is not given."""
        metrics.gaps += 1
        self.outlet.put_readings(protocol.gap(self.device_id, first, last), self.device_id, first, last)

    def skip_to(self, us: int) -> None:
        """Name what this socket has not had up to `us` (µs), and go on after it."""
        if self.held is None and self.position is not None and self.position < us:
            self.gap(self.position + 1, us)
            self.position = us

    def close(self) -> None:
        if self.joining is not None:
            self.joining.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self.outlet.discard(self.device_id)

    def _conflate(self, reading: Reading) -> None:
        """The newest at most once an interval; the first at once."""
        self._pending = reading
        if self._timer is None:
            self._send_pending()

    def _send_pending(self) -> None:
        self._timer = None
        if self._pending is not None:
            reading, self._pending = self._pending, None
            frame = protocol.reading(reading, NAMES, self._metrics)
            self.outlet.put_readings(frame, self.device_id, reading.us, reading.us)
            self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._send_pending)


class Feed:
    """The stream of one device in this process.

    `subscribed` is set while Redis has confirmed the subscription; `losses` counts how often that was lost, so that
    whoever was joining can see that the stream it held has a hole. `held` is a list while the feed itself catches up.

    A reading is late where the stream has brought a newer one since it began: one that is only older than what some
    socket was given may have come again, after the writer lost its connection.
    """

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.subscriptions: set[Subscription] = set()
        self.subscribed = asyncio.Event()
        self.losses = 0
        self.held: list[Reading] | None = None
        self.is_unverified = False
        self._newest = -1  # of what the stream brought since it began, µs
        self._late: list[Reading] = []
        self._seen: set[int] = set()
        self._seen_order: deque[int] = deque()

    @property
    def oldest_position(self) -> int | None:
        """What every live subscription has had; None where there is none."""
        positions = [sub.position for sub in self.subscriptions if sub.is_live and sub.position is not None]
        return min(positions, default=None)

    def lose(self) -> None:
        """The stream broke off. What is being held has a hole, so it is worth nothing."""
        self.subscribed.clear()
        self.losses += 1
        self.held = None
        self._newest = -1
        for subscription in self.subscriptions:
            subscription.lose()

    def take(self, reading: Reading) -> None:
        """A reading from the stream. The same reading again is dropped."""
        is_late = reading.us < self._newest
        self._newest = max(self._newest, reading.us)
        if self.held is None:
            if reading.us not in self._seen:
                self._pass_on(reading, self.subscriptions, is_late=is_late)
            return
        self.held.append(reading)
        if is_late:
            self._late.append(reading)
        for subscription in self.subscriptions:
            if not subscription.is_live:
                subscription.hold(reading, is_late=is_late)

    def skip_to(self, us: int) -> None:
        """What came up to `us` (µs) is not to be had any more: name it to those who have not had it."""
        for subscription in self.subscriptions:
            subscription.skip_to(us)

    def catch_up(self, readings: Sequence[Reading], late: Iterable[int]) -> list[Behind]:
        """Pass on what was missed and what was held, oldest first, and go on with the stream.

        `late`: times (µs) of readings that came late meanwhile, beside those held. Who missed more than one reading
        is not given them here, but holds the stream and is returned. Who is joining has held it as it came.
        """
        late_held, self._late, self.held = self._late, [], None
        live = [subscription for subscription in self.subscriptions if subscription.is_live]
        new = [us for us in late if us not in self._seen]
        for us in {*new, *(reading.us for reading in late_held if reading.us not in self._seen)}:
            self._remember(us)
            for subscription in live:
                subscription.name_late(us)
        behind = []
        for subscription in live:
            first = bisect_right(readings, subscription.position or -1, key=_time_of)
            if len(readings) - first > 1 and not subscription.is_conflated:
                subscription.held = []
                behind.append((subscription, readings[first:]))
        for reading in readings:
            self._pass_on(reading, [sub for sub in live if sub.is_live], is_late=False)
        return behind

    def _pass_on(self, reading: Reading, subscriptions: Iterable[Subscription], *, is_late: bool) -> None:
        self._remember(reading.us)
        encode = _encoder(reading)
        for subscription in subscriptions:
            subscription.offer(reading, encode, is_late=is_late)

    def _remember(self, us: int) -> None:
        if us not in self._seen:
            self._seen.add(us)
            self._seen_order.append(us)
            if len(self._seen_order) > RING_LENGTH:
                self._seen.discard(self._seen_order.popleft())


def _time_of(reading: Reading) -> int:
    return reading.us


def _encoder(reading: Reading) -> Encode:
    """Encodes a reading once for each set of metrics, whoever asks for it first."""
    frames: dict[tuple[int, ...] | None, Frame] = {}

    def encode(metrics: tuple[int, ...] | None) -> Frame:
        frame = frames.get(metrics)
        if frame is None:
            frame = frames[metrics] = protocol.reading(reading, NAMES, metrics)
        return frame

    return encode
