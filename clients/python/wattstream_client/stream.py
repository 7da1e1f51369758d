"""One websocket, from opening to its end. The caller keeps the cursors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from wattstream_client.errors import Forbidden, RequestRefused
from wattstream_client.events import Event, Frame, Gap, Refused, Revoked, Unrecovered, readings_of
from wattstream_client.times import us_from_iso

SUBPROTOCOL = "wattstream.v1"
Cursors = MutableMapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds. A peer that does not answer a ping, sent every `ping_s`, within `ping_s` is dead.

    `fill_s`: how long `readings` waits until the database has the readings that were not sent live.
    """

    open_s: float = 10.0
    send_s: float = 10.0
    ping_s: float = 10.0
    close_s: float = 1.0
    fill_s: float = 30.0


@asynccontextmanager
async def opened(url: str, token: str, timeouts: Timeouts) -> AsyncIterator[ClientConnection]:
    """Open a socket. Raises OSError, TimeoutError and websockets' exceptions."""
    async with connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        compression=None,
        open_timeout=timeouts.open_s,
        ping_interval=timeouts.ping_s,
        ping_timeout=timeouts.ping_s,
        close_timeout=timeouts.close_s,
        max_size=None,
    ) as socket:
        yield socket


class Stream:
    """The frames of one socket as events. Drops readings that are not newer than the cursor of their device."""

    def __init__(
        self, socket: ClientConnection, cursors: Cursors, timeouts: Timeouts, *, on_subscribed: Callable[[], None]
    ) -> None:
        self._socket = socket
        self._cursors = cursors
        self._timeouts = timeouts
        self._given = {device_id: us_from_iso(cursor) for device_id, cursor in cursors.items() if cursor}
        self._on_subscribed = on_subscribed

    async def subscribe(self, metrics: Sequence[str] | None, interval_ms: int) -> None:
        """Subscribe to every device from its cursor on."""
        request: dict[str, Any] = {"type": "subscribe", "id": 1, "devices": list(self._cursors)}
        request |= {"since": dict(self._cursors), "interval_ms": interval_ms}
        if metrics is not None:
            request["metrics"] = list(metrics)
        async with asyncio.timeout(self._timeouts.send_s):
            await self._socket.send(json.dumps(request))

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events until the socket ends.

        Raises websockets' ConnectionClosed; `Forbidden` if the user has access to none of the devices;
        `RequestRefused`.
        """
        async for text in self._socket:
            for event in self._events_of(json.loads(text)):
                yield event

    def _events_of(self, frame: Frame) -> Sequence[Event]:
        kind = frame["type"]
        if kind in ("reading", "backlog"):
            return self._new_readings(frame)
        if kind == "subscribed":
            return self._subscribed(frame)
        if kind == "gap":
            return [Gap(frame["device_id"], frame["from"], frame["to"])]
        if kind == "revoked":
            self._cursors.pop(frame["device_id"], None)
            return [Revoked(frame["device_id"])]
        if kind == "error":
            return self._refused(frame)
        return []

    def _new_readings(self, frame: Frame) -> Sequence[Event]:
        found: list[Event] = []
        for reading in readings_of(frame):
            if reading.us > self._given.get(reading.device_id, -1):
                self._given[reading.device_id] = reading.us
                self._cursors[reading.device_id] = reading.time
                found.append(reading)
        return found

    def _subscribed(self, frame: Mapping[str, Any]) -> Sequence[Event]:
        self._on_subscribed()
        device_id, cursor = frame["device_id"], frame["cursor"]
        since = self._cursors.get(device_id)
        if cursor is not None and us_from_iso(cursor) > self._given.get(device_id, -1):
            self._cursors[device_id] = cursor
            self._given[device_id] = us_from_iso(cursor)
        return [] if frame["recovered"] else [Unrecovered(device_id, since, cursor)]

    def _refused(self, frame: Frame) -> Sequence[Event]:
        if frame["code"] != "forbidden":
            raise RequestRefused(f"{frame['code']}: {frame['message']}")
        devices = tuple(frame.get("devices", ()))
        for device_id in devices:
            self._cursors.pop(device_id, None)
        if not self._cursors:
            raise Forbidden(frame["message"])
        return [Refused(frame["code"], frame["message"], devices)]
