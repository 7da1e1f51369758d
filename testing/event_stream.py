"""A client of `GET /api/stream` for tests: a real HTTP connection that records the received frames."""

from __future__ import annotations

import json
import time
from types import TracebackType
from typing import Any, Self

from testing.cast import Person, client
from testing.socket import DEADLINE_S, Frame, FrameRecord


class EventStreamClient(FrameRecord):
    """`last_id`: id of the newest event; `comments`: number of comments, which only keep the connection alive."""

    def __init__(self, url: str, person: Person, *, last_event_id: str | None = None, **parameters: Any) -> None:
        super().__init__()
        headers = {"Authorization": f"Bearer {person.token}"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.last_id = ""
        self.comments = 0
        self._client = client(url, headers=headers)
        self._opening = self._client.stream("GET", "/api/stream", params=parameters)
        self.answer = self._opening.__enter__()
        self._lines = self.answer.iter_lines()

    def next(self, deadline_s: float = DEADLINE_S) -> Frame:
        """Wait for the next event.

        Raises StopIteration at the end of the stream, TimeoutError if only comments arrive.
        """
        give_up_at = time.monotonic() + deadline_s
        while time.monotonic() < give_up_at:
            field, _, value = next(self._lines).partition(":")
            if field == "id":
                self.last_id = value.strip()
            elif field == "data":
                return self.record(json.loads(value))
            elif field == "" and value:
                self.comments += 1
        raise TimeoutError(f"only comments for {deadline_s} s; frames so far: {self.frames[-3:]}")

    def rest(self) -> list[Frame]:
        """Read until the server ends the stream and return the frames."""
        before = len(self.frames)
        try:
            while True:
                self.next()
        except StopIteration:
            return self.frames[before:]

    def close(self) -> None:
        self._opening.__exit__(None, None, None)
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
