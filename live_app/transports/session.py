"""A live session: the subscriptions, requests and outlet of one socket or event stream, whatever carries it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from django.conf import settings

from auth_app.audit.denials import denied
from auth_app.identity import Identity
from core.catalogue import CATALOGUE
from core.errors import Unavailable
from core.tasks import Tasks
from devices_app.access import access_cached
from live_app.delivery import frames, protocol
from live_app.delivery.outlet import Outlet, Send
from live_app.delivery.protocol import Cursor, RequestId
from live_app.delivery.requests import MalformedFrame, Request, RequestRefused, Subscribe, Unsubscribe, request_parse
from live_app.delivery.subscription import Subscription
from live_app.metrics import metrics

DRAIN_TIMEOUT_S = 1.0
CLOSE_AT_RATE = 2  # times LIVE_FRAMES_PER_SECOND


class SessionHub(Protocol):
    """The hub of this process (hub.py), as far as a session uses it."""

    async def join(self, subscription: Subscription, since: int | None) -> None: ...

    def leave(self, subscription: Subscription) -> None: ...


class SessionGuard(Protocol):
    """The guard of this process (access/guard.py), as far as a session uses it."""

    def add(self, session: LiveSession) -> None: ...

    def remove(self, session: LiveSession) -> None: ...

    def check_at(self, session: LiveSession, moment: float) -> asyncio.TimerHandle: ...


class LiveSession:
    """Constructed closed. `open` starts it; `close` ends it after the carrier has gone.

    `end(code)` ends it from this side: nothing more is sent, and `on_end` is called once with a close code of
    delivery/protocol.py. `ends_with`: if the session loses access to its last device and that device is one of these,
    it ends with 4403. `address`: the client's, for the audit log.
    """

    __slots__ = (
        "_address",
        "_count",
        "_ends_with",
        "_guard",
        "_hub",
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
        hub: SessionHub,
        guard: SessionGuard,
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
            on_too_slow=self._end_soon,
            transport=transport,
        )
        self._hub = hub
        self._guard = guard
        self._on_end = on_end
        self._address = address
        self._ends_with = ends_with
        self._subscriptions: dict[str, Subscription] = {}
        self._tasks = Tasks("live session", ignored=(OSError,))
        self._timers: dict[str | None, asyncio.TimerHandle] = {}  # by device; None for the credentials
        self._second = self._count = 0
        self._is_over = False

    def open(self) -> None:
        self._guard.add(self)
        self._timers[None] = self._guard.check_at(self, self.identity.expires_at)
        self.outlet.put(frames.welcome(self.identity.username, settings.LIVE_HEARTBEAT_S))

    def close(self) -> None:
        """Release everything. Idempotent."""
        self._is_over = True
        self._guard.remove(self)
        self.outlet.close()
        for timer in self._timers.values():
            timer.cancel()
        self._tasks.cancel()
        for device_id in list(self._subscriptions):
            self._drop(device_id)

    def end(self, code: int) -> None:
        """Send nothing more, and tell the carrier."""
        if not self._is_over:
            self.close()
            self._on_end(code)

    async def restart(self, timeout_s: float) -> None:
        """Send what is queued, at most for `timeout_s`, and end: the server stops."""
        await self.outlet.drain(timeout_s)
        self.end(protocol.CLOSE_RESTARTING)

    # --- requests ---

    async def carry_out(self, text: str) -> None:
        """Carry out a client's frame. A malformed frame ends the session with 4400."""
        if self._is_over:
            return
        try:
            request = request_parse(text, CATALOGUE)
            self._count_frame(request.request_id)
            await self._carry_out(request)
        except MalformedFrame:
            self.end(protocol.CLOSE_MALFORMED)
        except Unavailable:  # access cannot be decided now: the client reconnects and asks again
            self.end(protocol.CLOSE_INTERNAL)
        except RequestRefused as refused:
            metrics.refused[refused.code] += 1
            self.outlet.put(frames.error(refused.request_id, refused.code, str(refused)))

    async def subscribe(self, request: Subscribe) -> None:
        """Join the devices that the user has access to; one `error` frame names the others.

        Raises `RequestRefused`, `Unavailable`.
        """
        self._require_few(self._subscriptions.keys() | set(request.devices), request.request_id)
        found = await access_cached(self.identity.user_id, request.devices)
        if self._is_over:
            return
        if refused := [device_id for device_id in request.devices if device_id not in found]:
            metrics.refused["forbidden"] += 1
            self.outlet.put(frames.forbidden(request.request_id, refused))
            denied(self.identity, refused, "live: forbidden", self._address)
        for device_id, access in found.items():
            self._join(request, device_id, access.since)
            self.expire(device_id, access.expires_at)

    async def _carry_out(self, request: Request) -> None:
        if isinstance(request, Subscribe):
            await self.subscribe(request)
        elif isinstance(request, Unsubscribe):
            self._require_few(request.devices, request.request_id)
            for device_id in request.devices:
                self._drop(device_id)
                self.outlet.put(frames.unsubscribed(request.request_id, device_id))
        else:
            self.outlet.put(frames.pong(request.request_id))

    def _count_frame(self, request_id: RequestId) -> None:
        """Raises `RequestRefused` above LIVE_FRAMES_PER_SECOND; far above it the session ends with 4429."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        limit = settings.LIVE_FRAMES_PER_SECOND
        if self._count > CLOSE_AT_RATE * limit:
            self.end(protocol.CLOSE_TOO_MANY)
        if self._count > limit:
            raise RequestRefused("too_many", f"frames: at most {limit} per second on a socket", request_id)

    def _require_few(self, devices: Collection[str], request_id: RequestId) -> None:
        limit = settings.LIVE_DEVICES_PER_SOCKET
        if len(devices) > limit:
            raise RequestRefused("too_many", f"devices: at most {limit} per socket", request_id)

    # --- subscriptions ---

    def _join(self, request: Subscribe, device_id: str, visible_since: int | None) -> None:
        """Subscribing again replaces the subscription. `visible_since` (µs): readings before it are not sent."""
        self._drop(device_id)
        floor = None if visible_since is None else visible_since - 1
        since = request.since[device_id]
        if floor is not None and since is not None:
            since = max(since, floor)

        def on_joined(cursor: Cursor, recovered: bool) -> None:
            if floor is not None and cursor is not None:
                cursor = max(cursor, floor)
            frame = frames.subscribed(request.request_id, device_id, cursor, recovered=recovered)
            self.outlet.put(frame, device_id=device_id, us=cursor)

        subscription = Subscription(
            device_id, self.outlet, on_joined=on_joined, metrics=request.metrics, interval_ms=request.interval_ms,
            floor=floor,
        )  # fmt: skip
        self._subscriptions[device_id] = subscription
        subscription.joining = self._tasks.spawn(self._hub.join(subscription, since))

    def _drop(self, device_id: str) -> bool:
        subscription = self._subscriptions.pop(device_id, None)
        if subscription is None:
            return False
        self.expire(device_id, None)
        self._hub.leave(subscription)
        return True

    # --- the guard's calls ---

    @property
    def devices(self) -> Collection[str]:
        return self._subscriptions.keys()

    def revoke(self, device_id: str) -> None:
        if not self._drop(device_id):
            return
        self.outlet.put(frames.revoked(device_id))
        if device_id in self._ends_with and not self._subscriptions:
            self._tasks.spawn(self._end_after_queue(protocol.CLOSE_FORBIDDEN))

    def expire(self, device_id: str, moment: float | None) -> None:
        if timer := self._timers.pop(device_id, None):
            timer.cancel()
        if moment is not None:
            self._timers[device_id] = self._guard.check_at(self, moment)

    def sign_out(self) -> None:
        self.end(protocol.CLOSE_UNAUTHENTICATED)

    # --- the end ---

    def _end_soon(self) -> None:
        """Not at once: the caller is iterating over the subscriptions."""
        asyncio.get_running_loop().call_soon(self.end, protocol.CLOSE_TOO_SLOW)

    async def _end_after_queue(self, code: int) -> None:
        await self.outlet.drain(timeout_s=DRAIN_TIMEOUT_S)
        asyncio.get_running_loop().call_soon(self.end, code)  # `end` cancels this task
