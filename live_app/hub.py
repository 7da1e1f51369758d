"""What this process hears from Redis: the devices somebody here watches, access changes, heartbeats.

A device whose stream broke off is refilled from ring and TimescaleDB before its stream goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings

from auth_app import events
from core.catalogue import CATALOGUE
from live_app import recovery
from live_app.delivery.feed import BACKLOG_ROWS_PER_FRAME, Feed, Subscription
from live_app.metrics import heartbeat_heard, metrics
from live_app.redis.subscriber import RECONNECT_PAUSE_S, stream_from
from telemetry.names import BREAK_CHANNEL, HEARTBEAT_CHANNEL
from telemetry.reading import ReadingError, reading_decode
from telemetry.redis import RedisError
from telemetry.tracing import traced

logger = logging.getLogger(__name__)


class Hub:
    """Constructed closed. `start` is safe to call again and again; `close` ends it."""

    def __init__(self, redis_url: str) -> None:
        self._feeds: dict[str, Feed] = {}
        self._stream = stream_from(redis_url, self, (BREAK_CHANNEL, events.CHANNEL))
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.malformed = 0
        self.heartbeat_at: float | None = None

    @property
    def is_connected(self) -> bool:
        return self._stream.is_connected

    @property
    def devices(self) -> int:
        """How many devices somebody here watches."""
        return len(self._feeds)

    def start(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._stream.run(), name="live hub")

    async def close(self) -> None:
        tasks = [task for task in (self._reader, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @traced("live join")
    async def join(self, subscription: Subscription, since: int | None) -> None:
        """Close the seam between `since` (µs) and the stream, and release the subscription.

        Waits until Redis has confirmed the subscription, however long that takes: meanwhile the session is told
        nothing. Calls `subscription.on_joined` before the first reading is sent.
        """
        feed = self._watch(subscription)
        missed = await self._fetch(feed, subscription, since)
        metrics.joins += 1
        metrics.joins_incomplete += not missed.is_complete
        subscription.on_joined(missed.after or None, missed.is_complete)
        await self._replay(feed, subscription, missed)

    async def _replay(self, feed: Feed, subscription: Subscription, missed: recovery.Missed) -> None:
        """Send what was missed as fast as the socket takes it. Then nothing is awaited any more, so that nothing
        can come in between: send what was held, and go live."""
        while True:
            losses = subscription.losses
            feed.is_unverified |= not missed.is_verified
            subscription.go_on_after(missed.after, missed.late)
            rows = missed.readings
            for start in range(0, len(rows), BACKLOG_ROWS_PER_FRAME):
                subscription.send_backlog(rows[start : start + BACKLOG_ROWS_PER_FRAME])
                if len(rows) > BACKLOG_ROWS_PER_FRAME:
                    await subscription.outlet.room()
            if subscription.losses == losses:
                break
            missed = await self._fetch(feed, subscription, subscription.position)
        after = -1 if subscription.position is None else subscription.position
        subscription.release(recovery.in_order(subscription.held or [], after), rows)

    async def _fetch(self, feed: Feed, subscription: Subscription, since: int | None) -> recovery.Missed:
        """What to replay, from a stream that has not broken off since."""
        while True:
            await feed.subscribed.wait()
            losses = subscription.losses
            try:
                missed = await self._missed(subscription, since)
            except RedisError:
                await asyncio.sleep(RECONNECT_PAUSE_S)
                continue
            if subscription.losses == losses:
                return missed

    def leave(self, subscription: Subscription) -> None:
        subscription.close()
        feed = self._feeds.get(subscription.device_id)
        if feed is None:
            return
        feed.subscriptions.discard(subscription)
        if not feed.subscriptions:
            del self._feeds[feed.device_id]
            self._stream.unsubscribe(feed.device_id)

    async def _missed(self, subscription: Subscription, since: int | None) -> recovery.Missed:
        """What to replay. Raises RedisError."""
        held, losses = subscription.held, subscription.losses
        assert held is not None, "a subscription joins once"
        if since is None:
            return await recovery.from_now(self._stream.server_of(subscription.device_id), subscription.device_id, held)
        return await recovery.missed_since(
            self._stream.server_of(subscription.device_id),
            subscription.device_id,
            since,
            held,
            limit=settings.LIVE_BACKLOG_MAX_READINGS,
            timeout_s=settings.LIVE_JOIN_TIMEOUT_S,
            is_current=lambda: subscription.losses == losses,
        )

    def _watch(self, subscription: Subscription) -> Feed:
        device_id = subscription.device_id
        feed = self._feeds.get(device_id)
        if feed is None:
            feed = self._feeds[device_id] = Feed(device_id)
            self._stream.subscribe(device_id)
        feed.subscriptions.add(subscription)
        return feed

    # --- what the stream tells ---

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
        if feed.is_unverified and feed.held is None:
            feed.is_unverified = False
            self._refill(feed)
        metrics.readings += 1
        feed.take(reading)

    def on_message(self, channel: str, payload: bytes) -> None:
        try:
            if channel == HEARTBEAT_CHANNEL:
                self.heartbeat_at = time.monotonic()
                heartbeat_heard(payload)
            elif channel == BREAK_CHANNEL:
                self._mend(payload.decode())
            elif channel == events.CHANNEL:
                events.hear(payload)
        except ValueError as error:
            self._drop(channel, error)

    def on_subscribed(self, device_id: str) -> None:
        feed = self._feeds.get(device_id)
        if feed is None:
            return
        feed.lose()  # what is held came by an earlier subscription, and a hole may follow it
        self._begin(feed)

    def on_lost(self, device_ids: Collection[str]) -> None:
        for device_id in device_ids:
            if device_id in self._feeds:
                self._feeds[device_id].lose()

    def _drop(self, where: str, error: ValueError) -> None:
        self.malformed += 1
        logger.warning("dropped a malformed message on %s: %s", where, error)

    # --- the seam ---

    def _mend(self, device_id: str) -> None:
        """The writer says that what it published before does not join what comes now."""
        feed = self._feeds.get(device_id)
        if feed is not None and feed.subscribed.is_set():
            feed.lose()
            self._begin(feed)

    def _begin(self, feed: Feed) -> None:
        """The stream of a device begins, or begins anew."""
        feed.subscribed.set()
        if feed.oldest_position is not None:
            self._refill(feed)

    def _refill(self, feed: Feed) -> None:
        """Hold the feed's stream, fetch what is missing, go on."""
        feed.held = []
        self._spawn(self._catch_up(feed))

    @traced("live refill")
    async def _catch_up(self, feed: Feed) -> None:
        losses = feed.losses
        while feed.losses == losses and feed.held is not None:
            since = feed.oldest_position
            if since is None:
                feed.catch_up(recovery.in_order(feed.held, -1), ())
                return
            try:
                missed = await recovery.missed_since(
                    self._stream.server_of(feed.device_id),
                    feed.device_id,
                    since,
                    feed.held,
                    limit=settings.LIVE_BACKLOG_MAX_READINGS,
                    timeout_s=settings.LIVE_REFILL_TIMEOUT_S,
                    is_current=lambda: feed.losses == losses,
                )
            except RedisError:
                await asyncio.sleep(RECONNECT_PAUSE_S)
                continue
            if feed.losses == losses:
                self._resume(feed, missed)
                return

    def _resume(self, feed: Feed, missed: recovery.Missed) -> None:
        """Go on with the stream. Who missed much is sent it at its own pace, the fetched readings are shared."""
        metrics.refills += 1
        metrics.refills_incomplete += not missed.is_complete
        after = missed.after or 0
        readings = recovery.in_order([*missed.readings, *(feed.held or [])], after)
        feed.is_unverified = not missed.is_verified
        if not missed.is_complete:
            feed.skip_to(after)
        for subscription, behind in feed.catch_up(readings, missed.late):
            piece = recovery.Missed(behind, subscription.position)
            subscription.joining = self._spawn(self._replay(feed, subscription, piece))

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a task of the live hub failed", exc_info=error)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub_of_loop() -> Hub:
    """The hub of the running loop, started."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub(settings.REDIS_URL)
    hub.start()
    return hub
