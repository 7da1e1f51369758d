"""The seam between what a client has and the live stream: for subscriptions that join, and for streams that broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from django.conf import settings

from core.tasks import Tasks
from live_app.delivery.feed import DeviceFeed
from live_app.delivery.subscription import BACKLOG_ROWS_PER_FRAME, Subscription
from live_app.metrics import metrics
from live_app.recovery.missed import Missed, StoredReadings, from_now, in_order, missed_since
from telemetry.reading import Reading
from telemetry.redis import AsyncRedis, RedisError
from telemetry.tracing import traced

RETRY_PAUSE_S = 0.2


class Seam:
    """`server_of` returns the Redis server that the stream of a device comes from; it raises RedisError if none does.

    The ring must be read from that very server: the ring of a former master may end before the stream of the next
    one begins. `database` has what the ring does not reach back to.
    """

    def __init__(self, server_of: Callable[[str], AsyncRedis], database: StoredReadings) -> None:
        self._server_of = server_of
        self._database = database
        self._tasks = Tasks("live hub")

    async def close(self) -> None:
        await self._tasks.close()

    # --- a subscription joins ---

    @traced("live join")
    async def join(self, feed: DeviceFeed, subscription: Subscription, since: int | None) -> None:
        """Replay the readings after `since` (µs; None: only new readings) and make the subscription live.

        Waits until Redis has confirmed the feed's subscription, however long that takes. Calls
        `subscription.on_joined` before the first reading is sent.
        """
        missed = await self._fetch(feed, subscription, since)
        metrics.joins += 1
        metrics.joins_incomplete += not missed.is_complete
        subscription.on_joined(missed.after or None, missed.is_complete)
        await self._replay(feed, subscription, missed)

    async def _replay(self, feed: DeviceFeed, subscription: Subscription, missed: Missed) -> None:
        """Send the missed readings as fast as the socket reads. The last steps do not await, so that no reading can
        arrive between them: send what was buffered meanwhile, and go live."""
        while True:
            losses = subscription.losses
            feed.is_unverified |= not missed.is_verified
            feed.ahead.hold(missed.ahead)
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
        subscription.release(in_order(subscription.held or [], after), rows)

    async def _fetch(self, feed: DeviceFeed, subscription: Subscription, since: int | None) -> Missed:
        """Find what to replay, from a stream that did not break meanwhile."""
        while True:
            await feed.subscribed.wait()
            losses = subscription.losses
            held = subscription.held
            assert held is not None, "a subscription joins once"

            def is_current(losses: int = losses) -> bool:
                return subscription.losses == losses

            try:
                if since is None:
                    server = self._server_of(feed.device_id)
                    missed = await from_now(server, self._database, feed.device_id, held)
                else:
                    timeout_s = settings.LIVE_JOIN_TIMEOUT_S
                    missed = await self._missed(feed.device_id, since, held, is_current, timeout_s=timeout_s)
            except RedisError:
                await asyncio.sleep(RETRY_PAUSE_S)
                continue
            if is_current():
                return missed

    # --- a stream broke, and begins again ---

    def refill(self, feed: DeviceFeed) -> None:
        """Buffer the feed's stream, fetch what its subscriptions missed, and continue."""
        feed.hold()
        self._tasks.spawn(self._refill(feed))

    @traced("live refill")
    async def _refill(self, feed: DeviceFeed) -> None:
        losses = feed.losses

        def is_current() -> bool:
            return feed.losses == losses

        while is_current() and feed.held is not None:
            since = feed.oldest_position
            if since is None:
                feed.catch_up(in_order(feed.held, -1), ())
                return
            try:
                timeout_s = settings.LIVE_REFILL_TIMEOUT_S
                missed = await self._missed(feed.device_id, since, feed.held, is_current, timeout_s=timeout_s)
            except RedisError:
                await asyncio.sleep(RETRY_PAUSE_S)
                continue
            if is_current():
                self._resume(feed, missed)
                return

    def _resume(self, feed: DeviceFeed, missed: Missed) -> None:
        """Continue the stream. A subscription that missed much replays the shared readings at its own pace."""
        metrics.refills += 1
        metrics.refills_incomplete += not missed.is_complete
        after = missed.after or 0
        readings = in_order([*missed.readings, *(feed.held or [])], after)
        feed.is_unverified = not missed.is_verified
        feed.ahead.hold(missed.ahead)
        if not missed.is_complete:
            feed.skip_to(after)
        for subscription, behind in feed.catch_up(readings, missed.late):
            piece = Missed(behind, subscription.position)
            subscription.joining = self._tasks.spawn(self._replay(feed, subscription, piece))

    async def _missed(
        self, device_id: str, since: int, held: Sequence[Reading], is_current: Callable[[], bool], *, timeout_s: float
    ) -> Missed:
        return await missed_since(
            self._server_of(device_id),
            self._database,
            device_id,
            since,
            held,
            limit=settings.LIVE_BACKLOG_MAX_READINGS,
            timeout_s=timeout_s,
            is_current=is_current,
        )
