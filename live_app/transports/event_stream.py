"""The live stream as Server-Sent Events (WHATWG HTML, 9.2), for networks that block websockets.

The data of each event is one frame of the live protocol. Its id holds the cursor of each device, in the order of the
request, so that a browser that reconnects with `Last-Event-ID` continues where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings

from auth_app.identity import Identity
from core.catalogue import CATALOGUE
from core.errors import BadRequest, TooLarge, TooManyAttempts
from core.parameters import require_known
from live_app.access.guard import SessionLimitReached, guard_of_loop
from live_app.delivery.protocol import Cursor
from live_app.delivery.queue import Queued
from live_app.delivery.requests import Subscribe, cursor_parse, metrics_parse
from live_app.openapi import DEVICES, INTERVAL, PARAMETERS
from live_app.transports.session import LiveSession, SessionHub

RETRY_MS = 2_000  # how long a browser waits before it reconnects
RETRY_AFTER_S = 10
COMMENT = b": nothing new\n\n"
CONTENT_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class EventStreamRequest:
    """A request for an event stream. The cursors in an event's id have the order of `devices`."""

    devices: Sequence[str]
    subscribe: Subscribe


def event_stream_parse(parameters: Mapping[str, str], last_event_id: str | None) -> EventStreamRequest:
    """Parse the query parameters. `last_event_id` replaces `since`. Raises `BadRequest`, `TooLarge`."""
    require_known(parameters, PARAMETERS)
    devices = _devices(parameters.get("devices", ""))
    interval_ms = INTERVAL.parse(parameters.get("interval_ms"))
    try:
        metrics = metrics_parse(_names(parameters["metrics"]), CATALOGUE) if "metrics" in parameters else None
        since = _cursors(devices, last_event_id, parameters.get("since"))
    except ValueError as error:
        raise BadRequest(f"{error}.") from error
    return EventStreamRequest(devices, Subscribe(None, since, metrics, interval_ms))


def _devices(text: str) -> Sequence[str]:
    devices = list(dict.fromkeys(name for name in _names(text) if name))
    if len(devices) > DEVICES.most:
        raise TooLarge(f"devices: at most {DEVICES.most} per stream.")
    if not devices:
        raise BadRequest("devices: accepted is a list of at least one device id.")
    return devices


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _cursors(devices: Sequence[str], last_event_id: str | None, since: str | None) -> Mapping[str, Cursor]:
    """The cursor of each device: from the id of an event of this stream, else one cursor for all. Raises ValueError."""
    if last_event_id and ":" not in last_event_id:
        return _cursors_of_id(last_event_id, devices)
    return dict.fromkeys(devices, cursor_parse(last_event_id or since))


def _cursors_of_id(event_id: str, devices: Sequence[str]) -> Mapping[str, Cursor]:
    cursors = event_id.split(".")
    if len(cursors) != len(devices) or not all(us == "" or (_is_number(us) and len(us) < 18) for us in cursors):
        raise ValueError("Last-Event-ID: accepted is a cursor, or the id of an event of a stream of the same devices")
    return {device_id: int(us) if us else None for device_id, us in zip(devices, cursors, strict=True)}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


class EventStream:
    """One event stream. `chunks` is the response body; the session lives as long as its iteration."""

    def __init__(self, identity: Identity, request: EventStreamRequest, *, hub: SessionHub, address: str) -> None:
        self._request = request
        self._cursors = dict(request.subscribe.since)
        self._handoff: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        self._is_over = False
        self._session = LiveSession(
            identity,
            self._send,
            hub=hub,
            guard=guard_of_loop(),
            on_end=self._end,
            address=address,
            ends_with=request.devices,
        )

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body, its first chunk at once. Raises `TooManyAttempts` before that if the user has too many streams."""
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
        """Await this, with a timeout in seconds, when the server stops."""
        return self._session.restart

    async def _next(self) -> bytes:
        """The next event, or a comment after LIVE_HEARTBEAT_S without one; empty at the end."""
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
        """A client that reconnects learns the reason: 401, 403 or 429."""
        self._is_over = True
        with suppress(asyncio.QueueFull):
            self._handoff.put_nowait(b"")  # wakes `chunks`
