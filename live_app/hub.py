"""The live hub of this process: routes messages from Redis to the feeds of the devices that sessions watch."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from functools import partial

from django.conf import settings

from auth_app import events
from core.catalogue import CATALOGUE
from core.singletons import PerLoop
from core.tasks import Service
from live_app.delivery.feed import DeviceFeed
from live_app.delivery.subscription import Subscription
from live_app.metrics import heartbeat_heard, metrics
from live_app.recovery.seam import Seam
from live_app.recovery.stored import Database
from live_app.redis.subscriber import subscriber_of
from telemetry.names import BREAK_CHANNEL, HEARTBEAT_CHANNEL
from telemetry.reading import Reading, ReadingError, reading_decode
from telemetry.times import now_us

logger = logging.getLogger(__name__)


class Hub:
    """Constructed closed. A `SubscriberListener` (redis/connection.py)."""

    def __init__(self, redis_url: str) -> None:
        self._feeds: dict[str, DeviceFeed] = {}
        self._subscriber = subscriber_of(redis_url, self, (BREAK_CHANNEL, events.CHANNEL))
        self._reading = Service(self._subscriber.run, name="live hub")
        self._seam = Seam(self._subscriber.server_of, Database())
        self.malformed = 0
        self.heartbeat_at: float | None = None

    @property
    def is_connected(self) -> bool:
        return self._subscriber.is_connected

    @property
    def devices(self) -> int:
        """The number of devices that sessions of this process watch."""
        return len(self._feeds)

    def start(self) -> None:
        """Idempotent. From then on the metrics of this process are those of this hub."""
        metrics.hub = self
        self._reading.start()

    async def close(self) -> None:
        await self._reading.close()
        await self._seam.close()

    async def join(self, subscription: Subscription, since: int | None) -> None:
        """Replay the readings after `since` (µs; None: only new readings) and make the subscription live.

        Waits for Redis, without a timeout: meanwhile the session is sent nothing.
        """
        await self._seam.join(self._watch(subscription), subscription, since)

    def leave(self, subscription: Subscription) -> None:
        subscription.close()
        feed = self._feeds.get(subscription.device_id)
        if feed is None:
            return
        feed.subscriptions.discard(subscription)
        if not feed.subscriptions:
            feed.ahead.clear()
            del self._feeds[feed.device_id]
            self._subscriber.unsubscribe(feed.device_id)

    def _watch(self, subscription: Subscription) -> DeviceFeed:
        device_id = subscription.device_id
        feed = self._feeds.get(device_id)
        if feed is None:
            feed = self._feeds[device_id] = DeviceFeed(device_id, partial(self._take, device_id))
            self._subscriber.subscribe(device_id)
        feed.subscriptions.add(subscription)
        return feed

    # --- calls of the subscriber ---

    def on_reading(self, device_id: str, payload: bytes) -> None:
        feed = self._feeds.get(device_id)
        if feed is None:
            return
        try:
            reading = reading_decode(payload, CATALOGUE)
            if reading.device_id != device_id:
                raise ReadingError(f"device_id: {reading.device_id!r} is not the channel's")
        except ValueError as error:
            self._drop(device_id, error)
            return
        metrics.readings += 1
        feed.ahead.release_due()
        if reading.us > now_us():
            feed.ahead.hold([reading])
        else:
            self._take(device_id, reading)

    def _take(self, device_id: str, reading: Reading) -> None:
        feed = self._feeds.get(device_id)
        if feed is None:
            return
        if feed.is_unverified and feed.held is None:
            feed.is_unverified = False
            self._seam.refill(feed)
        feed.take(reading)

    def on_message(self, channel: str, payload: bytes) -> None:
        try:
            if channel == HEARTBEAT_CHANNEL:
                self.heartbeat_at = time.monotonic()
                heartbeat_heard(payload)
            elif channel == BREAK_CHANNEL:
                self._on_break(payload.decode())
            elif channel == events.CHANNEL:
                events.hear(payload)
        except ValueError as error:
            self._drop(channel, error)

    def on_subscribed(self, device_id: str) -> None:
        feed = self._feeds.get(device_id)
        if feed is not None:
            feed.lose()  # buffered readings are from an earlier subscription, and a hole may follow them
            self._begin(feed)

    def on_lost(self, device_ids: Collection[str]) -> None:
        for device_id in device_ids:
            if device_id in self._feeds:
                self._feeds[device_id].lose()

    def _on_break(self, device_id: str) -> None:
        """The writer says that readings may be missing between what it published and what it will publish."""
        feed = self._feeds.get(device_id)
        if feed is not None and feed.subscribed.is_set():
            feed.lose()
            self._begin(feed)

    def _begin(self, feed: DeviceFeed) -> None:
        """The stream of a device begins, or begins again."""
        feed.subscribed.set()
        if feed.oldest_position is not None:
            self._seam.refill(feed)

    def _drop(self, where: str, error: ValueError) -> None:
        self.malformed += 1
        logger.warning("dropped a malformed message on %s: %s", where, error)


def _start() -> Hub:
    hub = Hub(settings.REDIS_URL)
    hub.start()
    return hub


hub_of_loop = PerLoop(_start)
