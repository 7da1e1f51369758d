"""The stream of one device in this process: passes each reading to the subscriptions once, in order."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from live_app.delivery import frames
from live_app.delivery.frames import Frame
from live_app.delivery.subscription import NAMES, Encode, Subscription
from telemetry.ahead import Ahead
from telemetry.names import RING_LENGTH
from telemetry.reading import Reading

Behind = tuple[Subscription, Sequence[Reading]]


class DeviceFeed:
    """The subscriptions of one device.

    `subscribed` is set while Redis has confirmed the subscription. `losses` counts how often the stream broke, so that
    a join in progress can detect a hole in its buffer. `held` is a list while the feed itself catches up, else None.
    `is_unverified`: nothing has shown yet that the stream continues what the subscriptions were sent. `ahead` holds
    the readings ahead of the clock until their time has come; they are then taken like readings of the stream.

    A reading is late if the stream has brought a newer one since it began. A reading that is only older than what a
    socket was sent may be a repetition, after the writer lost its connection.
    """

    def __init__(self, device_id: str, on_due: Callable[[Reading], object]) -> None:
        """`on_due` is called with each reading of `ahead` when its time has come."""
        self.device_id = device_id
        self.ahead = Ahead(on_due, limit=RING_LENGTH)
        self.subscriptions: set[Subscription] = set()
        self.subscribed = asyncio.Event()
        self.losses = 0
        self.held: list[Reading] | None = None
        self.is_unverified = False
        self._newest = -1  # µs, of the stream since it began
        self._late: list[Reading] = []
        self._seen = RecentTimes()

    @property
    def oldest_position(self) -> int | None:
        """The time (µs) up to which every live subscription has been sent everything; None if there is none."""
        positions = [sub.position for sub in self.subscriptions if sub.is_live and sub.position is not None]
        return min(positions, default=None)

    def lose(self) -> None:
        """The stream broke: the buffers have a hole, so empty them. A refill fetches the readings ahead again."""
        self.ahead.clear()
        self.subscribed.clear()
        self.losses += 1
        self.held = None
        self._newest = -1
        for subscription in self.subscriptions:
            subscription.lose()

    def hold(self) -> None:
        """Buffer the stream until `catch_up`."""
        self.held = []

    def take(self, reading: Reading) -> None:
        """Take a reading from the stream. Drops a repetition."""
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
        """Send a gap to the subscriptions that miss readings up to `us` (µs): these cannot be fetched any more."""
        for subscription in self.subscriptions:
            subscription.skip_to(us)

    def catch_up(self, readings: Sequence[Reading], late: Iterable[int]) -> list[Behind]:
        """Pass on the readings that were missed or buffered, oldest first, and go live.

        `late`: times (µs) of readings that arrived late meanwhile, besides those buffered. Subscriptions that missed
        more than one reading keep buffering and are returned with what they missed, so that the caller can replay it.
        Subscriptions that are joining have buffered the stream themselves.
        """
        live = [subscription for subscription in self.subscriptions if subscription.is_live]
        self._name_late(late, live)
        self.held = None
        behind = [found for subscription in live if (found := _behind(subscription, readings)) is not None]
        for subscription, _ in behind:
            subscription.hold_again()
        for reading in readings:
            self._pass_on(reading, [sub for sub in live if sub.is_live], is_late=False)
        return behind

    def _name_late(self, late: Iterable[int], live: Collection[Subscription]) -> None:
        """Send a gap for each late reading, fetched or buffered, that has not been seen before."""
        buffered, self._late = self._late, []
        for us in {*late, *(reading.us for reading in buffered)}:
            if us not in self._seen:
                self._seen.add(us)
                for subscription in live:
                    subscription.name_late(us)

    def _pass_on(self, reading: Reading, subscriptions: Iterable[Subscription], *, is_late: bool) -> None:
        self._seen.add(reading.us)
        encode = _encoder(reading)
        for subscription in subscriptions:
            subscription.offer(reading, encode, is_late=is_late)


class RecentTimes:
    """The times (µs) of the RING_LENGTH readings that were added last."""

    def __init__(self) -> None:
        self._times: set[int] = set()
        self._order: deque[int] = deque()

    def __contains__(self, us: int) -> bool:
        return us in self._times

    def add(self, us: int) -> None:
        if us not in self._times:
            self._times.add(us)
            self._order.append(us)
            if len(self._order) > RING_LENGTH:
                self._times.discard(self._order.popleft())


def _behind(subscription: Subscription, readings: Sequence[Reading]) -> Behind | None:
    """What a subscription missed, if that is more than one reading and it wants each of them."""
    first = bisect_right(readings, subscription.position or -1, key=_time_of)
    if len(readings) - first > 1 and not subscription.is_conflated:
        return subscription, readings[first:]
    return None


def _time_of(reading: Reading) -> int:
    return reading.us


def _encoder(reading: Reading) -> Encode:
    """Return a function that encodes the reading once for each set of metrics."""
    encoded: dict[tuple[int, ...] | None, Frame] = {}

    def encode(metrics: tuple[int, ...] | None) -> Frame:
        frame = encoded.get(metrics)
        if frame is None:
            frame = encoded[metrics] = frames.reading(reading, NAMES, metrics)
        return frame

    return encode
