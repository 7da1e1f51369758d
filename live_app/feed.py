"""A watched device and its subscriptions: each reading once, in time order, to each socket that asked for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from history_app.catalogue import CATALOGUE
from live_app import protocol
from live_app.outlet import Outlet
from live_app.protocol import Frame
from telemetry.names import RING_LENGTH
from telemetry.reading import Reading

NAMES = CATALOGUE.names
BACKLOG_ROWS_PER_FRAME = 500

Encode = Callable[[tuple[int, ...] | None], Frame]


class Subscription:
    """One socket's interest in one device. Holds what arrives until the seam is closed, then passes it on.

    `position`: µs of the newest reading this socket was given (or asked to start after); None until that is known.
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
        self.on_joined = on_joined
        self.position: int | None = None
        self.held: list[Reading] | None = []
        self.joining: asyncio.Task[bool] | None = None
        self._outlet = outlet
        self._metrics = metrics
        self._interval_s = interval_ms / 1000
        self._pending: Reading | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_live(self) -> bool:
        return self.held is None

    def release(self, readings: Sequence[Reading], position: int | None) -> None:
        """Close the seam: send `readings` (newer than `position`) as backlog, and pass on what comes from now on."""
        self.held = None
        self.position = readings[-1].us if readings else position
        for start in range(0, len(readings), BACKLOG_ROWS_PER_FRAME):
            rows = readings[start : start + BACKLOG_ROWS_PER_FRAME]
            frame = protocol.backlog(rows, NAMES, self._metrics)
            self._outlet.put_readings(frame, self.device_id, rows[0].us, rows[-1].us)

    def offer(self, reading: Reading, encode: Encode, *, name_late: bool) -> None:
        """Pass a reading on if it is newer than all before it. One that is not is only named, where `name_late`."""
        if self.held is not None:
            self.held.append(reading)
        elif self.position is None or reading.us > self.position:
            self.position = reading.us
            if self._interval_s:
                self._conflate(reading)
            else:
                self._outlet.put_readings(encode(self._metrics), self.device_id, reading.us, reading.us)
        elif name_late and reading.us < self.position:
            self.gap(reading.us, reading.us)

    def gap(self, first: int, last: int) -> None:
        """Name readings (µs, both included) that this socket is not given."""
        self._outlet.put_readings(protocol.gap(self.device_id, first, last), self.device_id, first, last)

    def close(self) -> None:
        if self.joining is not None:
            self.joining.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._outlet.discard(self.device_id)

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
            self._outlet.put_readings(frame, self.device_id, reading.us, reading.us)
            self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._send_pending)


class Feed:
    """The stream of one device in this process.

    `subscribed` is set while Redis has confirmed the subscription; `losses` counts how often that was lost, so that
    whoever was joining can see that the stream it held has a hole. `held` is a list while the feed itself catches up.
    """

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.subscriptions: set[Subscription] = set()
        self.subscribed = asyncio.Event()
        self.losses = 0
        self.held: list[Reading] | None = None
        self.is_unverified = False
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
        for subscription in self.subscriptions:
            if subscription.held is not None:
                subscription.held.clear()

    def take(self, reading: Reading) -> None:
        """A reading from the stream. The same reading again is dropped."""
        if self.held is not None:
            self.held.append(reading)
            for subscription in self.subscriptions:
                if subscription.held is not None:
                    subscription.held.append(reading)
        elif reading.us not in self._seen:
            self.pass_on(reading, name_late=True)

    def catch_up(self, readings: Sequence[Reading]) -> None:
        """Pass on what was missed, oldest first, and go on with the stream."""
        self.held = None
        for reading in readings:
            self.pass_on(reading, name_late=False)

    def pass_on(self, reading: Reading, *, name_late: bool) -> None:
        self._remember(reading.us)
        encode = _encoder(reading)
        for subscription in self.subscriptions:
            subscription.offer(reading, encode, name_late=name_late)

    def _remember(self, us: int) -> None:
        if us not in self._seen:
            self._seen.add(us)
            self._seen_order.append(us)
            if len(self._seen_order) > RING_LENGTH:
                self._seen.discard(self._seen_order.popleft())


def _encoder(reading: Reading) -> Encode:
    """Encodes a reading once for each set of metrics, whoever asks for it first."""
    frames: dict[tuple[int, ...] | None, Frame] = {}

    def encode(metrics: tuple[int, ...] | None) -> Frame:
        frame = frames.get(metrics)
        if frame is None:
            frame = frames[metrics] = protocol.reading(reading, NAMES, metrics)
        return frame

    return encode
