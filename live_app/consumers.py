"""The live sockets: handshake and requests. Readings do not pass through here, they go from the feed to the outlet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Any, cast
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from asgi_project.errors import Unavailable
from auth_app.identity import Identity
from devices_app.access import Access, access_cached
from history_app.catalogue import CATALOGUE
from live_app import handshake, protocol
from live_app.feed import Subscription
from live_app.guard import guard_of_loop
from live_app.hub import hub_of_loop
from live_app.outlet import Outlet

logger = logging.getLogger(__name__)
NO_CHANNEL_LAYER = "none"
CLOSE_TIMEOUT_S = 5.0


class LiveConsumer(AsyncWebsocketConsumer):
    """`/ws/live` and `/ws/live/{device_id}`. One instance a socket."""

    channel_layer_alias = NO_CHANNEL_LAYER
    identity: Identity

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As Channels' own, less what serves a channel layer: a task and a waiter a socket, a thread hop an event."""
        self.scope = scope
        self.base_send = send
        with suppress(StopConsumer):
            while True:
                message = await receive()
                await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        if not handshake.origin_is_allowed(self.scope) or not handshake.host_is_allowed(self.scope):
            await self.close()  # before accept: 403
            return
        self._subscriptions: dict[str, Subscription] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._only_device: str | None = self.scope["url_route"]["kwargs"].get("device_id")
        code = await self._admit()
        await self.accept(handshake.subprotocol_of(self.scope))
        if code is not None:
            await self.close(code)
            return
        self._open()
        await self._subscribe_from_url()

    async def _admit(self) -> int | None:
        """Find out who this is; the code to close with where they may not come in."""
        try:
            identity = await handshake.identify_scope(self.scope)
        except Unavailable:
            return protocol.CLOSE_INTERNAL
        if identity is None:
            return protocol.CLOSE_UNAUTHENTICATED
        if guard_of_loop().sockets_of(identity.user_id) >= settings.LIVE_SOCKETS_PER_USER:
            return protocol.CLOSE_TOO_MANY
        only = self._only_device
        if only is not None and only not in await access_cached(identity.user_id, [only]):
            return protocol.CLOSE_FORBIDDEN
        self.identity = identity
        return None

    @property
    def _transport(self) -> asyncio.WriteTransport | None:
        """The socket's own, where the server hands it over."""
        extensions = cast(Any, self.scope.get("extensions") or {})
        return cast("asyncio.WriteTransport | None", extensions.get(protocol.TRANSPORT_EXTENSION))

    def _open(self) -> None:
        self.outlet = Outlet(
            self._send_text,
            max_frames=settings.LIVE_QUEUE_MAX_FRAMES,
            max_bytes=settings.LIVE_QUEUE_MAX_BYTES,
            on_hopeless=self._give_up,
            transport=self._transport,
        )
        if self._transport is not None:
            cast(Any, self.scope["extensions"])[protocol.DRAIN_EXTENSION] = self.outlet.drain
        guard = guard_of_loop()
        guard.add(self)
        self._timers[""] = guard.check_at(self, self.identity.expires_at)
        cast(Any, self.scope["headers"]).clear()  # nobody reads them again, and they are a kilobyte of each socket
        self.outlet.put(protocol.welcome(self.identity.username, settings.LIVE_HEARTBEAT_S))

    async def _subscribe_from_url(self) -> None:
        if self._only_device is None:
            return
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        try:
            since = protocol.parse_cursor(query.get("since", [None])[0])
        except ValueError as error:
            self.outlet.put(protocol.error(None, "bad_request", str(error)))
            return
        await self._subscribe(protocol.Subscribe(None, {self._only_device: since}, None, 0))

    async def disconnect(self, code: int) -> None:
        if not hasattr(self, "outlet"):
            return
        guard_of_loop().remove(self)
        self.outlet.close()
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        for subscription in list(self._subscriptions.values()):
            hub_of_loop().leave(subscription)
        self._subscriptions.clear()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not hasattr(self, "outlet"):
            return
        try:
            if text_data is None:
                raise protocol.MalformedFrame("not a text frame")
            await self._carry_out(protocol.parse_request(text_data, CATALOGUE))
        except protocol.MalformedFrame:
            self._end(protocol.CLOSE_MALFORMED)
        except protocol.RequestRefused as refused:
            self.outlet.put(protocol.error(refused.request_id, refused.code, str(refused)))

    async def _carry_out(self, request: protocol.Request) -> None:
        if isinstance(request, protocol.Subscribe):
            await self._subscribe(request)
        elif isinstance(request, protocol.Unsubscribe):
            for device_id in request.devices:
                self._drop(device_id)
                self.outlet.put(protocol.unsubscribed(request.request_id, device_id))
        else:
            self.outlet.put(protocol.pong(request.request_id))

    async def _subscribe(self, request: protocol.Subscribe) -> None:
        wanted = self._subscriptions.keys() | set(request.devices)
        if len(wanted) > settings.LIVE_DEVICES_PER_SOCKET:
            limit = settings.LIVE_DEVICES_PER_SOCKET
            raise protocol.RequestRefused("too_many", f"devices: at most {limit} a socket", request.request_id)
        found = await access_cached(self.identity.user_id, request.devices)
        for device_id, since in request.since.items():
            if device_id not in found:
                message = f"devices: {device_id!r} is not among yours"
                self.outlet.put(protocol.error(request.request_id, "forbidden", message))
                continue
            self._join(request, device_id, since, found[device_id])

    def _join(self, request: protocol.Subscribe, device_id: str, since: protocol.Cursor, access: Access) -> None:
        """Subscribing again replaces the subscription."""
        self._drop(device_id)

        def on_joined(cursor: int | None, recovered: bool) -> None:
            self.outlet.put(protocol.subscribed(request.request_id, device_id, cursor, recovered=recovered))

        subscription = Subscription(
            device_id, self.outlet, on_joined=on_joined, metrics=request.metrics, interval_ms=request.interval_ms
        )
        self._subscriptions[device_id] = subscription
        if access.expires_at is not None:
            self._timers[device_id] = guard_of_loop().check_at(self, access.expires_at)
        subscription.joining = self._spawn(hub_of_loop().join(subscription, since))

    def _drop(self, device_id: str) -> bool:
        subscription = self._subscriptions.pop(device_id, None)
        if subscription is None:
            return False
        if timer := self._timers.pop(device_id, None):
            timer.cancel()
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
        if device_id == self._only_device and not self._subscriptions:
            self._spawn(self._close_after_queue(protocol.CLOSE_FORBIDDEN))

    def _give_up(self) -> None:
        """Not at once: whoever offers a reading is walking through the subscriptions."""
        asyncio.get_running_loop().call_soon(self._end, protocol.CLOSE_TOO_SLOW)

    def sign_out(self) -> None:
        self._end(protocol.CLOSE_UNAUTHENTICATED)

    def _end(self, code: int) -> None:
        """Send nothing more, and close."""
        guard_of_loop().remove(self)
        for device_id in list(self._subscriptions):
            self._drop(device_id)
        self.outlet.close()
        self._spawn(self.close(code))
        if self._transport is not None:  # a peer that reads nothing would keep what was written to it, for ever
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._transport.abort)

    async def _close_after_queue(self, code: int) -> None:
        await self.outlet.drain(timeout_s=1)
        self.outlet.close()
        await self.close(code)

    async def _send_text(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})  # type: ignore[arg-type]

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, OSError):
            logger.error("a live socket's task failed", exc_info=error)


class NoSuchSocket(AsyncWebsocketConsumer):
    """Any other path: refused at the handshake."""

    channel_layer_alias = NO_CHANNEL_LAYER

    async def connect(self) -> None:
        await self.close()
