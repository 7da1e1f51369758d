"""The live part of a locust dashboard: a websocket over websocket-client, and the counts of its readings."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import gevent
import websocket

from telemetry.times import SECOND_US, us_from_iso

TIMEOUT_S = 10
SILENCE_S = 60  # the server pings three times in this period

Measured = Callable[[str, float], None]


class Readings:
    """The readings that one dashboard received over all its sockets. Times in µs.

    `cursors`: the position to resume from, by device; `given`: the times in order of arrival.
    """

    def __init__(self) -> None:
        self.cursors: dict[str, str | None] = {}
        self.since: dict[str, int] = {}
        self.given: dict[str, list[int]] = defaultdict(list)
        self.doubled = 0
        self.holes = 0
        self.named = 0

    def begin(self, device: str, cursor: str | None) -> None:
        """Set the cursor of a device. The dashboard is owed every later reading."""
        self.cursors[device] = cursor
        self.since[device] = us_from_iso(cursor) if cursor else -1

    def add(self, device: str, stamp: str) -> int:
        """Record a reading and return its time. Counts duplicates and skipped seconds."""
        us = us_from_iso(stamp)
        last = self.given[device][-1] if self.given[device] else self.since[device]
        if us <= last:
            self.doubled += 1
            return us
        if last >= 0:
            self.holes += round((us - last) / SECOND_US) - 1
        self.given[device].append(us)
        self.cursors[device] = stamp
        return us


class LocustSocket:
    """One websocket and the greenlet that reads it. Calls `measured` with kind and ms for each reading."""

    def __init__(self, url: str, ticket: str, readings: Readings, measured: Measured) -> None:
        self._readings = readings
        self._measured = measured
        self._socket = websocket.create_connection(
            url, subprotocols=["wattstream.v1", f"ticket.{ticket}"], timeout=TIMEOUT_S
        )
        self._socket.settimeout(SILENCE_S)
        request = {"type": "subscribe", "id": 1, "devices": list(readings.cursors), "since": readings.cursors}
        self._socket.send(json.dumps(request))
        self._reader = gevent.spawn(self._read)

    @property
    def is_open(self) -> bool:
        return not self._reader.dead

    def drop(self) -> None:
        """Break the connection without a close frame, as a sleeping laptop does."""
        self._reader.kill()
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._reader.kill()
        self._socket.close(timeout=1)

    def _read(self) -> None:
        try:
            while text := self._socket.recv():
                self._take(json.loads(text), time.time_ns() // 1000)
        except (OSError, websocket.WebSocketException):
            return  # the dashboard notices and reconnects

    def _take(self, frame: Mapping[str, Any], now_us: int) -> None:
        if frame["type"] == "reading":
            us = self._readings.add(frame["device_id"], frame["time"])
            self._measured("reading", (now_us - us) / 1000)
        elif frame["type"] == "backlog":
            for row in frame["rows"]:
                self._readings.add(frame["device_id"], row[0])
                self._measured("backlog row", 0.0)
        elif frame["type"] == "gap" or (frame["type"] == "subscribed" and not frame["recovered"]):
            self._readings.named += 1
