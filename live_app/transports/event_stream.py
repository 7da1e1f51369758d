"""The live stream as Server-Sent Events (WHATWG HTML, 9.2), for places where websockets do not pass.

Each event's data is one frame of the live protocol. Its id holds the cursor of every device of the request, in the
order of the request, so that a browser which comes back with `Last-Event-ID` goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from auth_app.identity import Identity
from core.catalogue import CATALOGUE
from core.errors import BadRequest, TooLarge, TooManyAttempts
from core.parameters import require_known
from live_app.access.guard import SessionLimitReached, guard_of_loop
from live_app.delivery import protocol
from live_app.delivery.outlet import Queued
from live_app.openapi import DEVICES, INTERVAL, PARAMETERS
from live_app.transports.session import LiveSession

RETRY_MS = 2_000  # a browser waits that long before it comes back
RETRY_AFTER_S = 10
COMMENT = b": nothing new\n\n"
CONTENT_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class EventStreamRequest:
    """What to subscribe to. `devices` in the order asked, which is the order of cursors in an event's id."""

    devices: Sequence[str]
    subscribe: protocol.Subscribe


def event_stream_parse(parameters: Mapping[str, str], last_event_id: str | None) -> EventStreamRequest:
    """`last_event_id` replaces `since`. Raises `BadRequest` and `TooLarge`."""
    require_known(parameters, PARAMETERS)
    devices = [name.strip() for name in parameters.get("devices", "").split(",") if name.strip()]
    devices = list(dict.fromkeys(devices))
    if len(devices) > DEVICES.most:
        raise TooLarge(f"devices: at most {DEVICES.most} a stream.")
    frame: dict[str, Any] = {"devices": devices, "since": last_event_id or parameters.get("since")}
    frame["interval_ms"] = INTERVAL.parse(parameters.get("interval_ms"))
    if "metrics" in parameters:
        frame["metrics"] = [name.strip() for name in parameters["metrics"].split(",")]
    try:
        cursors = _cursors_of(last_event_id, devices) if last_event_id else None
        if cursors is not None:
            frame["since"] = None
        subscribe = protocol.parse_subscribe(frame, None, CATALOGUE)
    except ValueError as error:
        raise BadRequest(f"{error}.") from error
    return EventStreamRequest(devices, subscribe if cursors is None else replace(subscribe, since=cursors))


class EventStream:
    """One reader. `chunks` is the body; whoever runs it owns the session, which ends with it."""

    def __init__(self, identity: Identity, request: EventStreamRequest, *, address: str) -> None:
        self._request = request
        self._cursors = dict(request.subscribe.since)
        self._handoff: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        self._is_over = False
        self._session = LiveSession(identity, self._send, on_end=self._end, address=address, ends_with=request.devices)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The first chunk at once. Raises `TooManyAttempts` before it where the user has too many streams."""
        try:
            with guard_of_loop().reserved(self._session.identity.user_id):
                self._session.open()
        except SessionLimitReached as full:
            limit = settings.LIVE_SOCKETS_PER_USER
            message = f"A user may have at most {limit} live sockets and streams open; close one."
            raise TooManyAttempts(RETRY_AFTER_S, message) from full
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            await self._session.subscribe(self._request.subscribe)
            while chunk := await self._next():
                yield chunk
                if chunk is not COMMENT:
                    self._handoff.task_done()
        finally:
            self._session.close()

    @property
    def restart(self) -> Callable[[float], Awaitable[None]]:
        """To be awaited when the server stops, with seconds."""
        return self._session.restart

    async def _next(self) -> bytes:
        """The next event; a comment where there was none for LIVE_HEARTBEAT_S; nothing at the end."""
        try:
            async with asyncio.timeout(settings.LIVE_HEARTBEAT_S):
                chunk = await self._handoff.get()
        except TimeoutError:
            chunk = COMMENT
        return b"" if self._is_over else chunk

    async def _send(self, queued: Queued) -> None:
        """Wait until the server has taken the event."""
        await self._handoff.put(self._event(queued))
        await self._handoff.join()

    def _event(self, queued: Queued) -> bytes:
        if queued.device_id is not None and queued.last:
            self._cursors[queued.device_id] = max(self._cursors[queued.device_id] or 0, queued.last)
        cursors = ".".join(str(us or "") for us in self._cursors.values())
        return b"id: %b\ndata: %b\n\n" % (cursors.encode(), queued.frame.payload)

    def _end(self, code: int) -> None:
        """The client learns why when it comes back: 401, 403 or 429."""
        self._is_over = True
        with suppress(asyncio.QueueFull):
            self._handoff.put_nowait(b"")  # wakes `chunks`


def _cursors_of(last_event_id: str, devices: Sequence[str]) -> Mapping[str, protocol.Cursor] | None:
    """The cursors in the id of an event of this stream; None where it is a cursor for all. Raises ValueError."""
    if ":" in last_event_id:
        return None
    cursors = last_event_id.split(".")
    if len(cursors) != len(devices) or not all(us == "" or (_is_number(us) and len(us) < 18) for us in cursors):
        raise ValueError("Last-Event-ID: accepted is a cursor, or the id of an event of a stream of the same devices")
    return {device_id: int(us) if us else None for device_id, us in zip(devices, cursors, strict=True)}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
