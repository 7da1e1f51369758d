"""The live websockets: handshake, requests, close. Readings bypass this: the feed hands them to the outlet."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from auth_app.identity import Identity
from live_app.access import handshake
from live_app.access.admission import Refused, admitted
from live_app.access.guard import guard_of_loop
from live_app.delivery import frames, protocol
from live_app.delivery.queue import Queued
from live_app.delivery.requests import Subscribe, cursor_parse
from live_app.hub import hub_of_loop
from live_app.transports.session import LiveSession
from telemetry.logs import note_closed

NO_CHANNEL_LAYER = "none"
CLOSE_TIMEOUT_S = 5.0


class LiveConsumer(AsyncWebsocketConsumer):
    """`/ws/live` and `/ws/live/{device_id}`. One instance per socket."""

    channel_layer_alias = NO_CHANNEL_LAYER
    session: LiveSession | None = None
    _closing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Like Channels' own, without its channel layer: that would cost each socket a task and each event a thread."""
        self.scope = scope
        self.base_send = send
        try:
            with suppress(StopConsumer):
                while True:
                    message = await receive()
                    await getattr(self, get_handler_name(message))(message)
        finally:
            if self.session is not None:
                self.session.close()

    async def connect(self) -> None:
        if not handshake.origin_is_allowed(self.scope) or not handshake.host_is_allowed(self.scope):
            await self.close()  # before accept: 403
            return
        only_device: str | None = self.scope["url_route"]["kwargs"].get("device_id")
        try:
            async with admitted(self.scope, only_device) as identity:
                await self.accept(handshake.subprotocol_of(self.scope))
                self._open(identity, only_device)
        except Refused as refused:
            await self.accept(handshake.subprotocol_of(self.scope))
            await self._close(refused.code, str(refused))
            return
        await self._subscribe_from_url(only_device)

    def _open(self, identity: Identity, only_device: str | None) -> None:
        self.session = LiveSession(
            identity,
            self._send,
            hub=hub_of_loop(),
            guard=guard_of_loop(),
            on_end=self._end,
            transport=self._transport,
            address=handshake.address_of(self.scope),
            ends_with=() if only_device is None else (only_device,),
        )
        if self._transport is not None:
            cast(Any, self.scope)["extensions"][protocol.DRAIN_EXTENSION] = self.session.outlet.drain
        cast(Any, self.scope["headers"]).clear()  # not needed any more, and one kilobyte per socket
        self.session.open()

    async def _subscribe_from_url(self, only_device: str | None) -> None:
        if only_device is None or self.session is None:
            return
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        try:
            since = cursor_parse(query.get("since", [None])[0])
        except ValueError as error:
            self.session.outlet.put(frames.error(None, "bad_request", str(error)))
            return
        await self.session.subscribe(Subscribe(None, {only_device: since}, None, 0))

    async def disconnect(self, code: int) -> None:
        note_closed(code)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.session is None:
            return
        if text_data is None:
            self.session.end(protocol.CLOSE_MALFORMED)
        else:
            await self.session.carry_out(text_data)

    @property
    def _transport(self) -> asyncio.WriteTransport | None:
        """The transport of the socket, if the server passes it on."""
        extensions = cast(Any, self.scope.get("extensions") or {})
        return cast("asyncio.WriteTransport | None", extensions.get(protocol.TRANSPORT_EXTENSION))

    async def _send(self, queued: Queued) -> None:
        await self.base_send({"type": "websocket.send", "text": queued.frame.text})  # type: ignore[arg-type]

    def _end(self, code: int) -> None:
        self._closing = asyncio.create_task(self._close(code))

    async def _close(self, code: int, reason: str = "") -> None:
        """Close, and abort the connection if it is still open after CLOSE_TIMEOUT_S."""
        if self._transport is not None:  # else the buffer of a peer that reads nothing stays
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._transport.abort)
        with suppress(OSError, RuntimeError):  # the connection has ended already
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.close(code, reason)


class NoSuchSocket(AsyncWebsocketConsumer):
    """Any other path: refused at the handshake."""

    channel_layer_alias = NO_CHANNEL_LAYER

    async def connect(self) -> None:
        await self.close()
