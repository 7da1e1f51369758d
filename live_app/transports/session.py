"""What one socket or event stream watches, whatever carries it: subscriptions, their expiry, requests, the way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from django.conf import settings

from auth_app.audit.denials import denied
from auth_app.identity import Identity
from core.catalogue import CATALOGUE
from core.errors import Unavailable
from devices_app.access import Access, access_cached
from live_app.access.guard import guard_of_loop
from live_app.delivery import protocol
from live_app.delivery.feed import Subscription
from live_app.delivery.outlet import Outlet, Send
from live_app.hub import hub_of_loop
from live_app.metrics import metrics

DRAIN_TIMEOUT_S = 1.0
HOPELESS_RATE = 2  # times LIVE_FRAMES_PER_SECOND
logger = logging.getLogger(__name__)


class LiveSession:
    """Constructed closed; `open` starts it, `close` ends it when the carrier is gone.

    `end(code)` ends it from our side: nothing more is sent, then `on_end` is called once with a close code of
    delivery/protocol.py. `ends_with`: when access to the last watched device is lost and it is one of these, the
    session ends with 4403. `address`: where it comes from, for the audit log.
    """

    __slots__ = (
        "_address",
        "_count",
        "_ends_with",
        "_is_over",
        "_on_end",
        "_second",
        "_subscriptions",
        "_tasks",
        "_timers",
        "identity",
        "outlet",
    )

    def __init__(
        self,
        identity: Identity,
        send: Send,
        *,
        on_end: Callable[[int], None],
        address: str,
        transport: asyncio.WriteTransport | None = None,
        ends_with: Collection[str] = (),
    ) -> None:
        self.identity = identity
        self.outlet = Outlet(
            send,
            max_frames=settings.LIVE_QUEUE_MAX_FRAMES,
            max_bytes=settings.LIVE_QUEUE_MAX_BYTES,
            on_hopeless=self._give_up,
            transport=transport,
        )
        self._on_end = on_end
        self._address = address
        self._ends_with = ends_with
        self._subscriptions: dict[str, Subscription] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: dict[str | None, asyncio.TimerHandle] = {}  # by device; None for the credentials
        self._second = self._count = 0
        self._is_over = False

    def open(self) -> None:
        guard = guard_of_loop()
        guard.add(self)
        self._timers[None] = guard.check_at(self, self.identity.expires_at)
        self.outlet.put(protocol.welcome(self.identity.username, settings.LIVE_HEARTBEAT_S))

    def close(self) -> None:
        """Let go of everything. Safe to call again."""
        self._is_over = True
        guard_of_loop().remove(self)
        self.outlet.close()
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        for device_id in list(self._subscriptions):
            self._drop(device_id)

    def end(self, code: int) -> None:
        """Send nothing more, and tell the carrier."""
        if self._is_over:
            return
        self.close()
        self._on_end(code)

    async def restart(self, timeout_s: float) -> None:
        """The server stops: take nothing more, send what is queued, and end."""
        await self.outlet.drain(timeout_s)
        self.end(protocol.CLOSE_RESTARTING)

    # --- requests ---

    async def carry_out(self, text: str) -> None:
        """Do what a client's frame asks. A frame that is none ends the session with 4400."""
        try:
            request = protocol.parse_request(text, CATALOGUE)
            self._count_frame(request.request_id)
            await self._carry_out(request)
        except protocol.MalformedFrame:
            self.end(protocol.CLOSE_MALFORMED)
        except Unavailable:  # nobody can say now what this user may see: the client comes back and asks again
            self.end(protocol.CLOSE_INTERNAL)
        except protocol.RequestRefused as refused:
            metrics.refused[refused.code] += 1
            self.outlet.put(protocol.error(refused.request_id, refused.code, str(refused)))

    def _count_frame(self, request_id: protocol.RequestId) -> None:
        """Raises `RequestRefused` above LIVE_FRAMES_PER_SECOND; far above it the session ends with 4429."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        limit = settings.LIVE_FRAMES_PER_SECOND
        if self._count > HOPELESS_RATE * limit:
            self.end(protocol.CLOSE_TOO_MANY)
        if self._count > limit:
            raise protocol.RequestRefused("too_many", f"frames: at most {limit} a second on a socket", request_id)

    async def _carry_out(self, request: protocol.Request) -> None:
        if isinstance(request, protocol.Subscribe):
            await self.subscribe(request)
        elif isinstance(request, protocol.Unsubscribe):
            for device_id in request.devices:
                self._drop(device_id)
                self.outlet.put(protocol.unsubscribed(request.request_id, device_id))
        else:
            self.outlet.put(protocol.pong(request.request_id))

    async def subscribe(self, request: protocol.Subscribe) -> None:
        """Raises `RequestRefused`. A device that may not be watched is answered with an `error` frame."""
        wanted = self._subscriptions.keys() | set(request.devices)
        if len(wanted) > settings.LIVE_DEVICES_PER_SOCKET:
            limit = settings.LIVE_DEVICES_PER_SOCKET
            raise protocol.RequestRefused("too_many", f"devices: at most {limit} a socket", request.request_id)
        found = await access_cached(self.identity.user_id, request.devices)
        if self._is_over:
            return
        for device_id, since in request.since.items():
            if device_id in found:
                self._join(request, device_id, since, found[device_id])
            else:
                metrics.refused["forbidden"] += 1
                message = f"devices: {device_id!r} is not among yours"
                self.outlet.put(protocol.error(request.request_id, "forbidden", message))
                denied(self.identity, [device_id], "live: forbidden", self._address)

    def _join(self, request: protocol.Subscribe, device_id: str, since: protocol.Cursor, access: Access) -> None:
        """Subscribing again replaces the subscription."""
        self._drop(device_id)

        def on_joined(cursor: int | None, recovered: bool) -> None:
            frame = protocol.subscribed(request.request_id, device_id, cursor, recovered=recovered)
            self.outlet.put(frame, device_id=device_id, us=cursor)

        subscription = Subscription(
            device_id, self.outlet, on_joined=on_joined, metrics=request.metrics, interval_ms=request.interval_ms
        )
        self._subscriptions[device_id] = subscription
        self.expire(device_id, access.expires_at)
        subscription.joining = self._spawn(hub_of_loop().join(subscription, since))

    def _drop(self, device_id: str) -> bool:
        subscription = self._subscriptions.pop(device_id, None)
        if subscription is None:
            return False
        self.expire(device_id, None)
        hub_of_loop().leave(subscription)
        return True

    # --- what the guard asks for ---

    @property
    def devices(self) -> Collection[str]:
        return self._subscriptions.keys()

    def revoke(self, device_id: str) -> None:
        if not self._drop(device_id):
            return
        self.outlet.put(protocol.revoked(device_id))
        if device_id in self._ends_with and not self._subscriptions:
            self._spawn(self._end_after_queue(protocol.CLOSE_FORBIDDEN))

    def expire(self, device_id: str, moment: float | None) -> None:
        """Have access to a device checked when it ends (seconds since the epoch), None for no end."""
        if timer := self._timers.pop(device_id, None):
            timer.cancel()
        if moment is not None:
            self._timers[device_id] = guard_of_loop().check_at(self, moment)

    def sign_out(self) -> None:
        self.end(protocol.CLOSE_UNAUTHENTICATED)

    def _give_up(self) -> None:
        """Not at once: whoever offers a reading is walking through the subscriptions."""
        asyncio.get_running_loop().call_soon(self.end, protocol.CLOSE_TOO_SLOW)

    async def _end_after_queue(self, code: int) -> None:
        await self.outlet.drain(timeout_s=DRAIN_TIMEOUT_S)
        asyncio.get_running_loop().call_soon(self.end, code)  # which cancels this task

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, OSError):
            logger.error("a live session's task failed", exc_info=error)
