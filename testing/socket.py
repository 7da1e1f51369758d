"""A live client for tests: a real websocket that records the received frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from telemetry.times import us_from_iso
from testing.cast import Person
from testing.contract import frame_check

Frame = dict[str, Any]
DEADLINE_S = 20.0


class FrameRecord:
    """`frames`: all frames so far; `times(device)`: times (µs) of all received readings, in order of arrival."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def next(self, deadline_s: float = DEADLINE_S) -> Frame:
        """Wait for the next frame and record it."""
        raise NotImplementedError

    def record(self, frame: Frame) -> Frame:
        """Record a frame and check it against docs/asyncapi.json."""
        frame_check(frame)
        self.frames.append(frame)
        return frame

    def until(self, condition: Callable[[Frame], bool], deadline_s: float = DEADLINE_S) -> Frame:
        """Read until a frame meets `condition`; return that frame."""
        while not condition(frame := self.next(deadline_s)):
            pass
        return frame

    def until_type(self, kind: str) -> Frame:
        return self.until(lambda frame: frame["type"] == kind)

    def until_time(self, device_id: str, us: int) -> None:
        """Read until the reading with this time has arrived."""
        while us not in self.times(device_id):
            self.next()

    def times(self, device_id: str) -> list[int]:
        given: list[int] = []
        for frame in self.frames:
            if frame.get("device_id") != device_id:
                continue
            if frame["type"] == "reading":
                given.append(us_from_iso(frame["time"]))
            elif frame["type"] == "backlog":
                given.extend(us_from_iso(row[0]) for row in frame["rows"])
        return given


class LiveSocket(FrameRecord):
    """A websocket connection."""

    def __init__(
        self,
        url: str,
        *,
        person: Person | None = None,
        path: str = "/ws/live",
        headers: Mapping[str, str] | None = None,
        subprotocols: list[str] | None = None,
    ) -> None:
        super().__init__()
        sent = dict(headers or {})
        if person is not None:
            sent["Authorization"] = f"Bearer {person.token}"
        self._opening = connect(
            url.replace("http://", "ws://") + path,
            additional_headers=sent,
            subprotocols=subprotocols,  # type: ignore[arg-type]
            compression=None,
            proxy=None,
            open_timeout=DEADLINE_S,
            max_size=None,
        )
        self._connection = self._opening.__enter__()
        self.subprotocol = self._connection.subprotocol

    def send(self, **frame: Any) -> None:
        self._connection.send(json.dumps(frame))

    def send_text(self, text: str | bytes) -> None:
        self._connection.send(text)

    def subscribe(self, *devices: str, since: Any = None, request_id: int = 1, **more: Any) -> None:
        self.send(type="subscribe", id=request_id, devices=list(devices), since=since, **more)

    def next(self, deadline_s: float = DEADLINE_S) -> Frame:
        return self.record(json.loads(self._connection.recv(timeout=deadline_s)))

    def is_greeted(self) -> bool:
        """Return whether the first frame is `welcome`; false if the server closes instead."""
        try:
            return bool(self.next()["type"] == "welcome")
        except ConnectionClosed:
            return False

    def close_code(self, deadline_s: float = DEADLINE_S) -> int:
        """Read until the server closes; return the close code."""
        with pytest.raises(ConnectionClosed) as closed:
            self.until(lambda _: False, deadline_s)
        assert closed.value.rcvd is not None, "the connection broke without a close frame"
        return closed.value.rcvd.code

    def close_reason(self) -> str:
        """Return the reason of the server's close frame."""
        return self._connection.close_reason or ""

    def close(self) -> None:
        self._opening.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
