"""The application for daphne: `daphne asgi_project.server.daphne:application`.

It adds two things that daphne lacks: back-pressure (daphne's `send` returns at once, however little the client has
read) and a shutdown that closes sockets and services. Under daphne, `asgi_project.asgi:application` works without them.

Daphne binds its own protocol object into each `send` (daphne/server.py, `create_application`). Twisted tells a
producer that is registered with a connection when the buffer of that connection is full, and when it is empty again
(twisted.internet.interfaces.IPushProducer).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from channels.routing import get_default_application
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "asgi_project.settings")
server_application = cast(ASGI3Application, get_default_application())

# Only now: it has set Django up, and these import models.
from asgi_project.services import services_of_loop  # noqa: E402
from core.streaming import Send  # noqa: E402
from live_app.access.guard import guard_of_loop  # noqa: E402
from live_app.delivery.protocol import TRANSPORT_EXTENSION  # noqa: E402

DRAIN_SHARE = 0.8  # of SHUTDOWN_GRACE_S; the rest is for closing
FLUSH_S = 0.1  # Twisted drops what it has not written when it stops
FULL = 1 << 30  # for `get_write_buffer_size`: Twisted tells only that the buffer is full

CLOSE_NORMAL, CLOSE_PRIVATE = 1000, 3000  # between them are the codes of RFC 6455 and its registry


def daphne_protocol(send: object) -> Any:
    """The protocol object that daphne has bound into `send`. Raises `TypeError` under any other server."""
    if not isinstance(send, partial) or not send.args:
        raise TypeError("asgi_project.server.daphne is for daphne only; other servers run asgi_project.asgi")
    return send.args[0]


def before_daphne_stops(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Let Twisted wait for `work` before it closes every connection."""
    from twisted.internet import defer, reactor

    def start() -> Any:
        return defer.Deferred.fromFuture(asyncio.ensure_future(work()))

    reactor.addSystemEventTrigger("before", "shutdown", start)  # type: ignore[arg-type]


class Pace:
    """An IPushProducer: tells whether a connection accepts more data."""

    def __init__(self) -> None:
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def is_paused(self) -> bool:
        return not self._has_room.is_set()

    async def room(self) -> None:
        """Wait until the connection accepts more data or has ended."""
        await self._has_room.wait()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._has_room.clear()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._has_room.set()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._has_room.set()


class SocketPace(Pace):
    """Also stops reading while the connection takes no more: else the pongs to a client that reads none pile up."""

    def __init__(self, transport: Any) -> None:
        super().__init__()
        self._transport = transport

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        super().pauseProducing()
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        super().resumeProducing()
        self._transport.resumeProducing()


class SocketTransport(asyncio.WriteTransport):
    """The connection of a websocket, as far as live_app/delivery/outlet.py writes to it."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._pace = SocketPace(protocol.transport)
        # Above these autobahn closes with 1009, or without a word if `failByDrop` is left on.
        protocol.maxMessagePayloadSize = protocol.maxFramePayloadSize = settings.LIVE_FRAME_MAX_BYTES
        protocol.failByDrop = False
        protocol.transport.unregisterProducer()  # the HTTP channel that the connection came from
        protocol.transport.registerProducer(self._pace, True)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._protocol.transport.write(data)

    def get_write_buffer_size(self) -> int:
        return FULL if self._pace.is_paused else 0

    def is_closing(self) -> bool:
        return bool(self._protocol.state != self._protocol.STATE_OPEN)

    def abort(self) -> None:
        self._protocol.transport.abortConnection()

    def paced(self, send: Send) -> Send:
        """Return a `send` that waits until the connection accepts a frame. Daphne's pings detect a dead peer."""

        async def paced_send(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.send":
                await self._pace.room()
            code = message.get("code") or CLOSE_NORMAL
            if CLOSE_NORMAL < code < CLOSE_PRIVATE and not self.is_closing():
                self._protocol.sendCloseFrame(code=code)  # autobahn's `sendClose` refuses 1011 and 1012
            else:
                await send(message)

        return paced_send


class PacedResponse:
    """The `send` of one HTTP response: a streamed response waits for the client after each chunk."""

    def __init__(self, request: Any, send: Send) -> None:
        self._request = request
        self._send = send
        self._pace: Pace | None = None

    async def __call__(self, message: dict[str, Any]) -> None:
        if message.get("more_body"):
            self._register()
        elif message["type"] == "http.response.body":
            self._unregister()
        await self._send(message)
        if self._pace is not None:
            await self._pace.room()

    def close(self) -> None:
        """The application has returned. Aborts an incomplete response, so that no client takes it for complete."""
        if self._pace is not None and self._request.channel is not None:
            self._request.transport.abortConnection()

    def _register(self) -> None:
        if self._pace is None and self._request.channel is not None:
            self._pace = Pace()
            self._request.registerProducer(self._pace, True)

    def _unregister(self) -> None:
        if self._pace is not None:
            self._pace = None
            if self._request.channel is not None:
                self._request.unregisterProducer()


class DaphneApplication:
    """`application`, with back-pressure on every response and socket, and with a shutdown. One instance per process."""

    def __init__(self, application: ASGI3Application) -> None:
        self._application: Any = application
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        protocol = daphne_protocol(send)
        if not self._has_begun:
            self._has_begun = True
            before_daphne_stops(_stop)
        if scope["type"] == "websocket":
            transport = SocketTransport(protocol)
            cast(Any, scope)["extensions"] = {TRANSPORT_EXTENSION: transport}
            await self._application(scope, receive, transport.paced(cast(Any, send)))
            return
        response = PacedResponse(protocol, cast(Any, send))
        try:
            await self._application(scope, receive, response)
        finally:
            response.close()


async def _stop() -> None:
    """Close every socket with 1012 and then the services, while Twisted still writes."""
    await guard_of_loop().restart(settings.SHUTDOWN_GRACE_S * DRAIN_SHARE)
    await services_of_loop().aclose()
    await asyncio.sleep(FLUSH_S)


application = DaphneApplication(server_application)
